import { test } from 'tap'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { findPendingMigrations, readAppliedMigrations } from '../../src/migrations/history.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

const BODIES = ['create schema one;', 'create table one.t ();', 'create table one.u ();']
const appliedAt = new Date()

test('what is recorded is not pending, the rest is', async (t) => {
  const files = readCommittedMigrations(createMigrationsFolder(t, BODIES))
  const records = files.map((file) => ({ ...file, appliedAt }))

  t.strictSame(findPendingMigrations(files, []), files)
  t.strictSame(findPendingMigrations(files, records.slice(0, 2)), files.slice(2))
  t.strictSame(findPendingMigrations(files, records), [])
})

test('a database that is ahead of the files is refused', async (t) => {
  const files = readCommittedMigrations(createMigrationsFolder(t, BODIES))
  const records = files.map((file) => ({ ...file, appliedAt }))

  t.throws(() => findPendingMigrations(files.slice(0, 2), records), {
    code: 'history_refused',
    exitCode: 5,
    message: new RegExp(`000003.sql.*${files[2]?.hash}`),
  })
})

test('another history is refused with both hashes, whichever migration differs', async (t) => {
  const files = readCommittedMigrations(createMigrationsFolder(t, BODIES))
  const others = readCommittedMigrations(
    createMigrationsFolder(t, ['select 1;', ...BODIES.slice(1)]),
  )
  const records = others.map((file) => ({ ...file, appliedAt }))

  for (const length of [1, 2, 3]) {
    t.throws(() => findPendingMigrations(files, records.slice(0, length)), {
      code: 'history_refused',
      message: new RegExp(`000001-step-1.sql.*${others[0]?.hash}.*${files[0]?.hash}`),
    })
  }
})

test('a record with another number, or another previous hash, is refused', async (t) => {
  const files = readCommittedMigrations(createMigrationsFolder(t, BODIES))
  const records = files.map((file) => ({ ...file, appliedAt }))
  const [first, second] = records
  if (!first || !second) throw new Error('two records expected')

  for (const wrong of [
    [first, { ...second, recordedAs: '2.sql' }],
    [first, { ...second, previousHash: null }],
    [second],
  ]) {
    t.throws(() => findPendingMigrations(files, wrong), { code: 'history_refused' })
  }
})

test('a database without a record has had no migration', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })

  t.strictSame(await readAppliedMigrations(pool), [])
})

test('the history is read in the order of its numbers, however it is stored', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`
    create schema graphile_migrate;
    create table graphile_migrate.migrations
      (hash text, previous_hash text, filename text, date timestamptz);
    insert into graphile_migrate.migrations
    values ('d', 'c', '1000000.sql', now()), ('c', 'b', '999999.sql', now()),
           ('a', null, '000001.sql', now()), ('b', 'a', '000002.sql', now())`)

  const applied = await readAppliedMigrations(pool)

  t.strictSame(
    applied.map(({ hash }) => hash),
    ['a', 'b', 'c', 'd'],
  )
})

test('a migrated database fits the committed files', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  const applied = await readAppliedMigrations(pool)

  t.ok(applied.length > 0)
  t.strictSame(findPendingMigrations(readCommittedMigrations('migrations'), applied), [])
})
