// Files of more than one piece: they are read as small ones are, wherever the pieces end.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Test, test } from 'tap'
import { findPlace, includesText, readBody } from '../../../src/migrations/files/body.ts'
import { readCommittedMigrations } from '../../../src/migrations/files/committed.ts'
import { PIECE_BYTES } from '../../../src/migrations/files/pieces.ts'
import { createTextReader, decodeText } from '../../../src/migrations/files/text.ts'
import { readMigrationStatus } from '../../../src/migrations/history.ts'
import { createMigrationsFolder } from '../../support/migrations-folder.ts'

const LINE = `insert into t values (1, 'ä');\n`
const FILE = '000001-step-1.sql'

/** Lines that fill more than three pieces, with a text in the middle of one of them. */
const createBody = (middle = '') => {
  const half = LINE.repeat(Math.ceil((PIECE_BYTES * 1.6) / Buffer.byteLength(LINE)))
  return `${half}${middle}${half}`
}

function createFile(t: Test, body: string) {
  const folder = createMigrationsFolder(t, [body])
  return { folder, path: join(folder, 'committed', FILE) }
}

test('a large file is read without keeping its text', async (t) => {
  const { folder } = createFile(t, `\n\n--! no-transaction\n${createBody()}`)
  const [small] = await readCommittedMigrations(
    createMigrationsFolder(t, ['\n\n--! no-transaction\nselect 1;']),
  )

  const [large] = await readCommittedMigrations(folder)

  const { path, hash, ...expected } = small ?? {}
  t.match(large, { ...expected, body: undefined })
})

test('the text of a large file is that of the file, trimmed', async (t) => {
  const body = `${createBody()}select ':A';${' \n'.repeat(5)}`
  const { path } = createFile(t, `\n \n${body}`)

  let text = ''
  for await (const piece of readBody({ path })) text += piece

  t.ok(text === `${body.trim()}\n`)
})

test('a name is found wherever the pieces end, also in one line', async (t) => {
  for (const length of [0, 1, 5, 10]) {
    const filling = 'x'.repeat(PIECE_BYTES - 80 - length)
    const { path } = createFile(t, `select '${filling}:SOME_NAME${filling}:OTHER';`)
    const file = { path, bodyLine: 1, body: undefined }
    t.equal(await includesText([file], ':SOME_NAME'), true)
    t.equal(await includesText([file], ':OTHER'), true)
    t.equal(await includesText([file], ':MISSING'), false)
  }
})

test('the place of an offset is a line of the file', async (t) => {
  const body = createBody('select 1;\n')
  const { path } = createFile(t, body)
  const [migration] = await readCommittedMigrations(join(path, '..', '..'))
  const offset = body.indexOf('select 1;')
  const bodyLine = migration?.bodyLine ?? 0

  const place = await findPlace({ path, bodyLine }, offset + 3)

  const line = readFileSync(path, 'utf8').split('\n').indexOf('select 1;') + 1
  t.strictSame(place, { line, column: 4, text: 'select 1;' })
  t.strictSame((await findPlace({ path, bodyLine }, 0)).line, bodyLine)
  t.match(await findPlace({ path, bodyLine }, 1e9), { text: LINE.trim() })
})

const SPOILED: Record<string, [(text: string) => string, RegExp]> = {
  'a changed byte': [(text) => text.replace(/1(?=[^1]*$)/, '2'), /^was changed: /],
  'CRLF in the middle': [(text) => text.replace('select 2;', 'select\r\n2;'), /^has CRLF/],
  'CRLF at the end': [(text) => text.replace(/\n$/, '\r\n'), /^has CRLF/],
  'a NUL byte': [(text) => text.replace('select 2', 'select\u00002'), /line \d{5}, byte 7;/],
  'a header further down': [
    (text) => text.replace('select 2;', '--! NO-TRANSACTION'),
    /^was changed: /,
  ],
}
for (const [what, [spoil, problem]] of Object.entries(SPOILED)) {
  test(`${what} of a large file is reported`, async (t) => {
    const { folder, path } = createFile(t, createBody('select 2;\n'))
    writeFileSync(path, spoil(readFileSync(path, 'utf8')))

    const error = await readCommittedMigrations(folder).catch((thrown) => thrown)
    t.match(error.extensions?.problems, [{ filename: FILE, problem }])
  })
}

test('what graphile-migrate would take for something else is found far down in a pending file', async (t) => {
  const database = { query: async () => ({ rows: [] }) } as never
  for (const [middle, problem] of [
    ['--! NO-TRANSACTION\n', /ignores, line \d{5}: "--! NO-TRANSACTION"/],
    ['select\u00a02;\n', /cannot be seen, line \d{5}, column 7: U\+00A0/],
  ] as const) {
    const { folder, path } = createFile(t, createBody(`-- a\u00a0b\n${middle}`))
    const line = readFileSync(path, 'utf8').split('\n').indexOf(middle.trimEnd()) + 1
    const error = await readMigrationStatus(database, folder).catch((thrown) => thrown)
    t.match(error.extensions?.problems, [{ problem }])
    t.match(error.message, `line ${line}`)
  }
})

test('text is decoded the same wherever its pieces end', async (t) => {
  const files = [
    Buffer.from('a\u00e9\u20ac😀\nb\u00e9'),
    Buffer.from('a\n\u20ac\0b'),
    Buffer.from([0x61, 0x0a, 0xe2, 0x82]),
    Buffer.from([0x61, 0x0a, 0x62, 0xe2, 0x28, 0xa1, 0x0a]),
    Buffer.from([0x61, 0x0a, 0xf0, 0x9f, 0x98, 0x80, 0xfc, 0x62]),
  ]
  for (const file of files) {
    for (let at = 1; at < file.length; at++) {
      const reader = createTextReader()
      const text = [file.subarray(0, at), file.subarray(at)].map(
        (piece) => reader.read(piece) ?? '',
      )
      const problem = reader.finish()
      const result = problem === undefined ? { text: text.join('') } : { problem }
      t.strictSame(result, decodeText(file), `${file.toString('hex')} cut at ${at}`)
    }
  }
})

test('reading a large file lets other work run', async (t) => {
  const { folder } = createFile(t, createBody().repeat(10))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  await readCommittedMigrations(folder)

  delay.enable()
  await readCommittedMigrations(folder)
  delay.disable()

  t.comment(`the longest stretch was ${(delay.max / 1e6).toFixed(1)} ms`)
  t.ok(delay.max < 500e6)
})
