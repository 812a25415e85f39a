// The quick way to read a usual file says what the parser of all files says, or nothing.
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import {
  type CommittedMigration,
  createMigrationParser,
} from '../../../src/migrations/files/migration.ts'
import { createUsualReader, parseUsualMigration } from '../../../src/migrations/files/usual.ts'
import { calculateHash, createFolder } from '../../support/migrations-folder.ts'

const PATH = '/migrations/committed/000002-shop_b.sql'

/** Parts that matter to one of the two ways, or to both. */
const PARTS = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\0',
    ' ',
    '\t',
    '\v',
    '\u00a0',
    '\u2028',
    '\ufeff',
    '\ufffd',
    '-',
    '--! ',
  ],
  ...[
    '--! Hash: sha1:0\n',
    '--! Message: b\n',
    '--! Previous: -\n',
    '--! no-transaction\n',
    'x',
    'ä',
  ],
].map((text) => Buffer.from(text))
const BROKEN = [Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80])]

/** What is known of a migration, by value. */
function describe({ findIgnored, ...migration }: CommittedMigration) {
  return { ...migration, ignored: findIgnored() }
}

function parseExactly(path: string, bytes: Buffer) {
  const parser = createMigrationParser(path)
  parser.read(bytes)
  return parser.finish()
}

/** A file as graphile-migrate commits it, with a valid hash. */
function createText(body: string, { previous = 'sha1:0', headers = '--! Message: a step\n' } = {}) {
  const hash = calculateHash(body, previous === '-' ? null : previous)
  return `--! Previous: ${previous}\n--! Hash: ${hash}\n${headers}\n${body}`
}

test('usual files are read the quick way', (t) => {
  for (const text of [
    createText('create table shop.b ();\n'),
    createText('create table shop.b ();\n', { previous: '-' }),
    createText('create table shop.b ();\n', { headers: '' }),
    createText('create table shop.b ();\n', { headers: '--! Message:  \n' }),
    createText(`\n \n\n-- ä – 漢字 🎉\ncreate table shop.b ();\n\n \t\n`),
    createText('select 1;\n--! Message: no header\n--! no-transaction\n'),
    createText('select 1;'),
  ]) {
    const quick = parseUsualMigration(PATH, text)
    const exact = parseExactly(PATH, Buffer.from(text))
    t.ok(quick, text)
    t.notMatch(exact, { problem: String }, text)
    t.strictSame(
      quick && describe(quick),
      'problem' in exact ? undefined : describe(exact),
      JSON.stringify(text),
    )
  }
  t.end()
})

test('any file with a change somewhere is read as the parser reads it, or left to it', (t) => {
  const random = createRandom(20261127)
  const texts = [
    createText('\n-- first\ncreate table shop.b (name text);\n\nselect 1;\n'),
    createText('select 1', { previous: '-', headers: '' }),
    createText('--! no-transaction\ncreate index concurrently on shop.b (name);\n'),
    createText('select 1;\n', { headers: '--! AllowInvalidHash\n' }),
  ]
  const found = { usual: 0, left: 0 }
  for (let run = 0; run < 20_000; run++) {
    const text = texts[random(texts.length)] ?? ''
    const bytes = change(Buffer.from(text), random)
    const quick = parseUsualMigration(PATH, bytes.toString('utf8'))
    found[quick === undefined ? 'left' : 'usual'] += 1
    if (quick === undefined) continue
    const exact = parseExactly(PATH, bytes)
    const expected = 'problem' in exact ? exact : describe(exact)
    if (JSON.stringify(describe(quick)) !== JSON.stringify(expected)) {
      t.strictSame(describe(quick), expected, JSON.stringify(bytes.toString('latin1')))
      break
    }
  }
  // Blanks around the body, and a message, are in no hash.
  t.ok(found.usual > 500 && found.left > 5000, JSON.stringify(found))
  t.end()
})

test('what is no usual file is left to the parser', (t) => {
  const folder = createFolder(t)
  const read = createUsualReader()
  const path = join(folder, '000001-first.sql')
  writeFileSync(path, createText('select 1;\n'))
  const link = join(folder, '000002-link.sql')
  symlinkSync(path, link)
  const zeros = join(folder, '000003-zeros.sql')
  symlinkSync('/dev/zero', zeros)

  t.match(read(path), { number: 1, recordedAs: '000001.sql' })
  t.match(read(link), { number: 2, path: link })
  t.equal(read(folder), undefined, 'a folder')
  t.equal(read(zeros), undefined, 'a device without an end')
  t.equal(read(join(folder, 'missing.sql')), undefined)
  writeFileSync(path, createText(`select '${'x'.repeat(300_000)}';\n`))
  t.equal(read(path), undefined, 'a file of more than one piece')
  writeFileSync(path, createText(`select 1;${' '.repeat(300_000)}\r\n`))
  t.equal(read(path), undefined, 'a file whose second piece is in no hash')
  t.end()
})

/** Puts something in, leaves something out, or both, at one place or two; blanks often go to the end. */
function change(bytes: Buffer, random: (below: number) => number): Buffer {
  let changed = bytes
  for (let count = 1 + random(2); count > 0; count--) {
    const at = random(4) === 0 ? changed.length : random(changed.length + 1)
    const all = [...PARTS, ...BROKEN]
    const put = random(3) === 0 ? [] : [all[random(all.length)] ?? Buffer.of()]
    const rest = changed.subarray(at + random(3))
    changed = Buffer.concat([changed.subarray(0, at), ...put, rest])
  }
  return changed
}

/** Pseudo-random whole numbers, the same in each run. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % below
  }
}
