import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createSeedVersions, readSeeds } from '../../../src/migrations/files/seeds.ts'
import { createFolder } from '../../support/migrations-folder.ts'

test('seeds are read in the order of their names, and other files are left alone', async (t) => {
  const folder = createFolder(t)
  for (const name of ['20-b.sql', '10-a.sql', '9-c.sql', 'notes.md', '.hidden.sql']) {
    writeFileSync(join(folder, name), 'select 1;\r\n')
  }

  const seeds = await readSeeds(folder)

  t.match(seeds, [
    { filename: '10-a.sql', body: 'select 1;\r\n', bodyLine: 1 },
    { filename: '20-b.sql' },
    { filename: '9-c.sql' },
  ])
  t.same(await readSeeds(undefined), [])
})

test('a large seed is read again when it runs, from the line on which its text begins', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'large.sql'), `\n\n${'select 1;\n'.repeat(30_000)}`)

  t.match(await readSeeds(folder), [{ body: undefined, bodyLine: 3 }])
})

for (const [what, bytes, problem] of [
  ['is not UTF-8', Buffer.from("select '\xfc'", 'latin1'), /is not UTF-8: line 1, byte 9 is 0xFC/],
  ['has a NUL byte', 'select 1;\0', /has a NUL byte/],
  ['begins with a byte order mark', '\ufeffselect 1', /byte order mark/],
  ['wants to run outside a transaction', '--! no-transaction\nselect 1', /runs in a transaction/],
  ['has a header that is none', '--! Message seed\nselect 1', /has a header/],
  ['has an invisible character', 'select\u00a01', /cannot be seen, line 1/],
] as const) {
  test(`a seed that ${what} is refused by name`, async (t) => {
    const folder = createFolder(t)
    writeFileSync(join(folder, '10-good.sql'), 'select 1')
    writeFileSync(join(folder, '20-bad.sql'), bytes)

    const error = await readSeeds(folder).catch((cause) => cause)

    t.match(error, { code: 'history_refused', exitCode: 5 })
    t.match(error.extensions.problems, [{ filename: '20-bad.sql', problem }])
  })
}

test('a folder in the place of a seed is refused', async (t) => {
  const folder = createFolder(t)
  mkdirSync(join(folder, '10-folder.sql'))

  await t.rejects(readSeeds(folder), { code: 'history_refused' })
})

test('versions follow the files, also where size and time stay the same', async (t) => {
  const folder = createFolder(t)
  const path = join(folder, '10-a.sql')
  const write = (text: string) => {
    writeFileSync(path, text)
    utimesSync(path, 1, 1)
  }
  write('select 1')
  const read = createSeedVersions(folder)
  const [seed] = await readSeeds(folder)
  const before = read()
  t.same(before, [{ filename: '10-a.sql', hash: seed?.hash }])
  t.same(read(), before)

  write('select 2')
  t.not(read()[0]?.hash, before[0]?.hash)
  write('select 1')
  t.same(read(), before)
  rmSync(folder, { recursive: true })
  t.same(read(), [])
})
