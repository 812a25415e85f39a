import fs, { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import pg from 'pg'
import { test } from 'tap'
import { compareNumbersByCode, standIn } from '../../../src/migrations/tool/stand-ins.ts'

test('file names of numbers are sorted as by the rules of English', async (t) => {
  const { compare } = new Intl.Collator('en')
  const compareByCode = (one: string, other: string, language = 'en') =>
    compareNumbersByCode.call(one, other, language)
  const name = fc
    .string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 8 })
    .map((digits) => `${digits}.sql`)

  fc.assert(
    fc.property(name, name, (one, other) => compareByCode(one, other) === compare(one, other)),
    { numRuns: 2000 },
  )
  t.equal(compareByCode('000001.sql', '000001.sql'), 0)
  t.equal(compareByCode('a', 'B'), -1, 'anything else is compared as before')
  t.equal(compareByCode('ä', 'z', 'sv'), 1)
})

test('only the run of a connection string gets its pool, and only its large files are replaced', async (t) => {
  const { Pool } = pg
  const folder = t.testdir()
  const committed = join(folder, 'committed')
  mkdirSync(committed)
  const large = 'x'.repeat(1_000_000)
  writeFileSync(join(folder, '000001.sql'), large)
  writeFileSync(join(committed, '000001.sql'), 'short')
  writeFileSync(join(committed, '000002.sql'), large)
  // As the tool calls it.
  const read = (path: string) => fs.promises.readFile(path, 'utf8')
  const largeFiles = new Map()
  const pool = {}
  const options = { databaseName: 'a b', migrationsFolder: folder, pool, largeFiles }
  const [one, other] = [standIn(options), standIn({ ...options, pool: {} })]
  t.teardown(other.remove)

  t.not(one.connectionString, other.connectionString)
  t.equal(new pg.Pool({ connectionString: one.connectionString }), pool)
  const usual = new pg.Pool({ connectionString: 'postgres://127.0.0.1/test' })
  t.type(usual, Pool, "anyone else gets the driver's")
  await usual.end()
  t.equal(await read(join(folder, '000001.sql')), large)
  t.equal(await read(join(committed, '000001.sql')), 'short')
  await t.rejects(read(join(committed, '000002.sql')), {
    message: /^000002\.sql has no/,
  })

  one.remove()
  other.remove()
  t.type(new pg.Pool({ connectionString: one.connectionString }), Pool, 'after the run')
  t.equal(await read(join(committed, '000002.sql')), large)
})
