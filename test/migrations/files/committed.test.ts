import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { readCommittedMigrations } from '../../../src/migrations/files/committed.ts'
import {
  createFolder,
  createMigrationsFolder,
  writeCommitted,
} from '../../support/migrations-folder.ts'

const BODIES = ['create schema one;', 'create table one.t ();', 'create table one.u ();']

function changeFile(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

/** Makes three good files, spoils them, and says which files were named. */
function namesRefused(t: Test, spoil: (committed: string) => void): string[] {
  const folder = createMigrationsFolder(t, BODIES)
  spoil(join(folder, 'committed'))
  try {
    readCommittedMigrations(folder)
    return []
  } catch (error) {
    t.match(error, { code: 'history_refused', exitCode: 5 })
    const { problems } = (error as { extensions: { problems: { filename: string }[] } }).extensions
    return problems.map(({ filename }) => filename)
  }
}

test('committed files are read in order, with what their headers say', async (t) => {
  const folder = createMigrationsFolder(t, BODIES)

  const migrations = readCommittedMigrations(folder)

  t.match(migrations, [
    { number: 1, filename: '000001-step-1.sql', recordedAs: '000001.sql', slug: 'step-1' },
    { number: 2, message: 'step', body: 'create table one.t ();\n', bodyLine: 5 },
    { number: 3, previousHash: migrations[1]?.hash, noTransaction: false },
  ])
})

test('1,000 files are read in their numeric order', async (t) => {
  const bodies = Array.from({ length: 1000 }, (_, index) => `select ${index};`)
  const folder = createMigrationsFolder(t, bodies)

  const migrations = readCommittedMigrations(folder)

  t.strictSame(
    migrations.map(({ body }) => body.trim()),
    bodies,
  )
})

test('a missing folder is a wrong setting, an empty one a refused history', async (t) => {
  const folder = createFolder(t)
  t.throws(() => readCommittedMigrations(folder), { code: 'no_migrations_folder', exitCode: 2 })

  mkdirSync(join(folder, 'committed'))
  t.throws(() => readCommittedMigrations(folder), { code: 'no_migrations', exitCode: 5 })
})

const SECOND = '000002-step-2.sql'
const THIRD = '000003-step-3.sql'

const SPOILED: Record<string, { spoil: (committed: string) => void; named: string[] }> = {
  'a changed byte in a body': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replace('one.t', 'one.x')),
    named: [SECOND],
  },
  'a changed Hash': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replace(/Hash: sha1:./, '$&0')),
    named: [SECOND],
  },
  'a changed Previous': {
    spoil: (dir) =>
      changeFile(join(dir, THIRD), (text) => text.replace(/Previous: .*/, 'Previous: -')),
    named: [THIRD],
  },
  'a missing header': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replace(/--! Hash.*\n/, '')),
    named: [SECOND],
  },
  'a header given twice': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replace(/--! Hash.*\n/, '$&$&')),
    named: [SECOND],
  },
  'no empty line after the headers': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replace('\n\n', '\n')),
    named: [SECOND],
  },
  'CRLF line ends throughout': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replaceAll('\n', '\r\n')),
    named: [SECOND],
  },
  'AllowInvalidHash on a valid hash': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => `--! AllowInvalidHash\n${text}`),
    named: [SECOND],
  },
  'a stray file': {
    spoil: (dir) => writeFileSync(join(dir, 'README.md'), ''),
    named: ['README.md'],
  },
  'a backup of an editor': {
    spoil: (dir) => writeFileSync(join(dir, `${SECOND}~`), ''),
    named: [`${SECOND}~`],
  },
  'a folder named like a migration': {
    spoil: (dir) => mkdirSync(join(dir, '000004-step.sql')),
    named: ['000004-step.sql'],
  },
  'a link to nowhere': {
    spoil: (dir) => symlinkSync('/nowhere', join(dir, '000004-step.sql')),
    named: ['000004-step.sql'],
  },
  'a gap': { spoil: (dir) => rmSync(join(dir, SECOND)), named: [THIRD] },
  'a gap at the beginning': {
    spoil: (dir) => rmSync(join(dir, '000001-step-1.sql')),
    named: [SECOND],
  },
  'the same number twice': {
    spoil: (dir) => renameSync(join(dir, THIRD), join(dir, '000002-zzz.sql')),
    named: ['000002-zzz.sql'],
  },
  'a number that sorts wrong as text': {
    spoil: (dir) => renameSync(join(dir, THIRD), join(dir, '0000003-step-3.sql')),
    named: ['0000003-step-3.sql'],
  },
  'a number with fewer digits than the one before': {
    spoil: (dir) => renameSync(join(dir, THIRD), join(dir, '3-step.sql')),
    named: ['3-step.sql'],
  },
  'a last line that alone ends with CRLF': {
    spoil: (dir) => changeFile(join(dir, SECOND), (text) => text.replace(/\n$/, '\r\n')),
    named: [SECOND],
  },
  'two wrong files at once': {
    spoil: (dir) => {
      changeFile(join(dir, SECOND), (text) => text.replace('one.t', 'one.x'))
      changeFile(join(dir, THIRD), (text) => text.replace('one.u', 'one.x'))
    },
    named: [SECOND, THIRD],
  },
}
for (const [what, { spoil, named }] of Object.entries(SPOILED)) {
  test(`${what} is refused, and the file named`, async (t) => {
    t.strictSame(namesRefused(t, spoil).sort(), named)
  })
}

test('a changed file is refused with both hashes', async (t) => {
  const folder = createMigrationsFolder(t, BODIES)
  const [first] = readCommittedMigrations(folder)
  changeFile(join(folder, 'committed', '000001-step-1.sql'), (text) => text.replace('one', 'two'))

  t.throws(() => readCommittedMigrations(folder), {
    message: new RegExp(`${first?.hash}.*sha1:[0-9a-f]{40}`),
  })
})

test('what is allowed beside the rule is let pass', async (t) => {
  await t.test('an invalid hash with AllowInvalidHash', async (t) => {
    const folder = createMigrationsFolder(t, BODIES)
    changeFile(join(folder, 'committed', SECOND), (text) =>
      text.replace('--! Message', '--! AllowInvalidHash\n--! Message').replace('one.t', 'one.x'),
    )
    t.equal(readCommittedMigrations(folder)[1]?.body, 'create table one.x ();\n')
  })

  await t.test('another slug and message', async (t) => {
    const folder = createMigrationsFolder(t, BODIES)
    const renamed = join(folder, 'committed', '000002.sql')
    renameSync(join(folder, 'committed', SECOND), renamed)
    changeFile(renamed, (text) => text.replace('--! Message: step\n', ''))
    t.match(readCommittedMigrations(folder)[1], { slug: null, message: null })
  })

  await t.test('dot files, and files that are links, as Kubernetes mounts them', async (t) => {
    const folder = createMigrationsFolder(t, [])
    const elsewhere = createMigrationsFolder(t, BODIES)
    symlinkSync(join(elsewhere, 'committed'), join(folder, 'committed', '..data'))
    writeFileSync(join(folder, 'committed', '.gitkeep'), '')
    for (const name of writeCommitted(elsewhere, BODIES)) {
      symlinkSync(join('..data', name), join(folder, 'committed', name))
    }
    t.equal(readCommittedMigrations(folder).length, 3)
  })

  await t.test('line ends that the hash was taken over', async (t) => {
    const folder = createMigrationsFolder(t, ["select 'a\r\nb';"])
    t.equal(readCommittedMigrations(folder).length, 1)
  })
})

test('a migration outside a transaction is known, and where its body begins', async (t) => {
  const folder = createMigrationsFolder(t, ['--! no-transaction\nselect 1;'])

  t.match(readCommittedMigrations(folder), [{ noTransaction: true, bodyLine: 5 }])
})
