import { type Test, test } from 'tap'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import {
  findPendingMigrations,
  readAppliedMigrations,
  readMigrationStatus,
} from '../../src/migrations/history.ts'
import { findHistoryProblem } from '../../src/migrations/history-check.ts'
import { fingerprintHistory, readFingerprint } from '../../src/migrations/history-fingerprint.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

type Pending = readonly { readonly filename: string }[]

const BODIES = ['create schema shop;', 'create table shop.a ();', 'create table shop.b ();']
const TABLE = `
  create schema graphile_migrate;
  create table graphile_migrate.migrations
    (hash text primary key, previous_hash text, filename text not null, date timestamptz default now())`

/** A database with these files as its history, and what was asked of it. */
async function createHistory(t: Test, bodies: readonly string[] = BODIES) {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(TABLE)
  const folder = createMigrationsFolder(t, bodies)
  const files = await readCommittedMigrations(folder)
  for (const { hash, previousHash, recordedAs } of files) {
    await pool.query(`insert into graphile_migrate.migrations values ($1, $2, $3)`, [
      ...[hash, previousHash, recordedAs],
    ])
  }
  const asked: string[] = []
  const client = {
    query(text: string, values?: unknown[]) {
      asked.push(text)
      return pool.query(text, values)
    },
  } as unknown as Queryable
  return { pool, client, folder, files, asked }
}

test('a history that is the same as the files is compared by one row', async (t) => {
  const { client, folder, files, asked } = await createHistory(t)

  const { applied, pending, ahead } = await readMigrationStatus(client, folder)

  t.strictSame(
    applied,
    files.map(({ recordedAs, hash, previousHash }) => ({ recordedAs, hash, previousHash })),
  )
  t.strictSame([pending, ahead], [[], []])
  t.equal(asked.length, 1)
})

test('where there is no history, nothing else is read', async (t) => {
  const { pool, client, folder, files, asked } = await createHistory(t)
  await pool.query('truncate graphile_migrate.migrations')
  t.equal((await readMigrationStatus(client, folder)).pending.length, files.length)
  await pool.query('drop schema graphile_migrate cascade')
  t.equal((await readMigrationStatus(client, folder)).pending.length, files.length)
  t.equal(asked.length, 2)
})

test('any other history is compared row by row', async (t) => {
  const { pool, client, folder, files } = await createHistory(t)
  const changes = {
    'a row less': `delete from graphile_migrate.migrations where filename = '000003.sql'`,
    'without the first row': `delete from graphile_migrate.migrations where filename = '000001.sql'`,
    'a row more': `insert into graphile_migrate.migrations values ('x', 'y', '000004.sql')`,
    'another hash': `update graphile_migrate.migrations set hash = 'x' where filename = '000003.sql'`,
    'a hash in other letters': `update graphile_migrate.migrations set hash = upper(hash)`,
    'a blank more': `update graphile_migrate.migrations set hash = hash || ' ' where filename = '000002.sql'`,
    'another number': `update graphile_migrate.migrations set filename = '000009.sql' where filename = '000002.sql'`,
    'another file before': `update graphile_migrate.migrations set previous_hash = 'x' where filename = '000003.sql'`,
    'no file before': `update graphile_migrate.migrations set previous_hash = null`,
    'a file before the first': `update graphile_migrate.migrations set previous_hash = '' where previous_hash is null`,
    'a null as a text': `update graphile_migrate.migrations set previous_hash = 'null' where previous_hash is null`,
    'two rows of one number': `update graphile_migrate.migrations set filename = '000002.sql'`,
  }
  for (const [what, change] of Object.entries(changes)) {
    await pool.query('create table saved as select * from graphile_migrate.migrations')
    await pool.query(change)
    const applied = await readAppliedMigrations(pool)
    const outcome = async (work: () => Pending | Promise<Pending>) => {
      try {
        return { result: (await work()).map(({ filename }) => filename) }
      } catch (error) {
        return { error: { ...(error as object), message: (error as Error).message } }
      }
    }

    const expected = await outcome(() => findPendingMigrations(files, applied))
    const found = await outcome(async () => (await readMigrationStatus(client, folder)).pending)

    t.strictSame(found, expected, what)
    t.notSame(found, { result: [] }, what)
    await pool.query(`
      truncate graphile_migrate.migrations;
      insert into graphile_migrate.migrations select * from saved;
      drop table saved`)
  }
  t.strictSame((await readMigrationStatus(client, folder)).pending, [])
})

test('the database makes the same fingerprint of any texts', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(TABLE)
  const texts = [
    '',
    `'`,
    '"',
    '\\',
    '/',
    '\n',
    '\t\r\b\f\v',
    '\u0001\u001f\u007f',
    'ä\u2028🎉',
    'null',
  ]
  for (const [index, text] of texts.entries()) {
    await pool.query(`insert into graphile_migrate.migrations values ($1, $2, $3)`, [
      ...[`${text}${index}`, index % 2 === 0 ? text : null, `${text}.sql`],
    ])
  }
  const applied = await readAppliedMigrations(pool)

  t.strictSame(await readFingerprint(pool), fingerprintHistory(applied))
  for (const count of [1, 3, texts.length]) {
    t.strictSame(await readFingerprint(pool, count), fingerprintHistory(applied.slice(0, count)))
  }
})

test('a service that runs finds that its history is another one', async (t) => {
  const { pool, files } = await createHistory(t)
  const expected = fingerprintHistory(files.slice(0, 2))

  t.equal(await findHistoryProblem(pool, expected), undefined, 'a newer version applied one more')
  await pool.query(
    `update graphile_migrate.migrations set previous_hash = 'x' where filename = '000002.sql'`,
  )
  t.match(await findHistoryProblem(pool, expected), /^the database has other migrations/)
  await pool.query(`delete from graphile_migrate.migrations where filename <> '000001.sql'`)
  t.match(await findHistoryProblem(pool, expected), /^the database has 1 of 2 migrations/)
})
