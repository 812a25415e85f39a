import { type Test, test } from 'tap'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import {
  describeAhead,
  findPendingMigrations,
  readAppliedMigrations,
  readMigrationStatus,
} from '../../src/migrations/history.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

const BODIES = ['create schema shop;', 'create table shop.a ();', 'create table shop.b ();']

/** Committed files with these bodies, and the history of a database that applied them all. */
async function createHistory(t: Test, bodies: readonly string[]) {
  const files = await readCommittedMigrations(createMigrationsFolder(t, bodies))
  const appliedAt = new Date()
  const applied = files.map(({ recordedAs, hash, previousHash }) => ({
    recordedAs,
    hash,
    previousHash,
    appliedAt,
  }))
  return { files, applied }
}

test('the files after the last applied one are pending', async (t) => {
  const { files, applied } = await createHistory(t, BODIES)

  t.strictSame(findPendingMigrations(files, []), files)
  t.strictSame(findPendingMigrations(files, applied.slice(0, 2)), files.slice(2))
  t.strictSame(findPendingMigrations(files, applied), [])
})

test('a database that is ahead of the files is rejected', async (t) => {
  const { files, applied } = await createHistory(t, BODIES)

  t.throws(() => findPendingMigrations(files.slice(0, 2), applied), {
    code: 'history_refused',
    exitCode: 5,
    extensions: {
      problems: [
        {
          filename: '000003.sql',
          problem:
            'is missing: the database is ahead of the files; ' +
            `the database has 000003.sql with hash ${applied[2]?.hash}; deploy the newer files, ` +
            'or set WHEN_AHEAD=serve to run on it',
        },
      ],
    },
  })
})

test('a database that is ahead is served on request, if it has every one of our files', async (t) => {
  const { files, applied } = await createHistory(t, BODIES)
  const other = await createHistory(t, ['select 1;', ...BODIES.slice(1)])

  t.strictSame(findPendingMigrations(files.slice(0, 2), applied, 'serve'), [])
  t.strictSame(findPendingMigrations(files, applied.slice(0, 1), 'serve'), files.slice(1))
  t.throws(() => findPendingMigrations(other.files.slice(0, 2), applied, 'serve'), {
    code: 'history_refused',
    message: /000001-step-1.sql differs/,
  })
})

test('the migrations that the files lack are named', async (t) => {
  const { applied } = await createHistory(
    t,
    Array.from({ length: 7 }, (_, index) => `select ${index};`),
  )

  t.equal(describeAhead([]), undefined)
  t.equal(describeAhead(applied.slice(2, 3)), 'ahead by 000003')
  t.equal(describeAhead(applied.slice(2, 4)), 'ahead by 000003, 000004')
  t.equal(describeAhead(applied), 'ahead by 000001, 000002, 000003, 000004, 000005 and 2 more')
})

test('every migration of another history is reported, with both hashes', async (t) => {
  const { files } = await createHistory(t, BODIES)
  const { applied } = await createHistory(t, ['select 1;', ...BODIES.slice(1)])

  for (const length of [1, 2, 3]) {
    const problems = files.slice(0, length).map(({ filename, hash, recordedAs }, index) => ({
      filename,
      problem:
        'differs from what was applied: ' +
        `the database has ${recordedAs} with hash ${applied[index]?.hash}, the file has ${hash}`,
    }))
    t.throws(() => findPendingMigrations(files, applied.slice(0, length)), {
      code: 'history_refused',
      extensions: { problems },
    })
  }
})

test('a row with another number is rejected', async (t) => {
  const { files, applied } = await createHistory(t, BODIES)
  const [first, second] = applied
  if (!first || !second) throw new Error('the history has no two rows')

  const problems = [{ filename: '000002-step-2.sql', problem: /^was never applied: in its place / }]
  const renumbered = [first, { ...second, recordedAs: '2.sql' }]
  t.throws(() => findPendingMigrations(files, renumbered), {
    code: 'history_refused',
    extensions: { problems },
  })
})

test('a history without its first row is rejected', async (t) => {
  const { files, applied } = await createHistory(t, BODIES)

  const problems = [{ filename: '000001-step-1.sql', problem: /^was never applied: in its place / }]
  t.throws(() => findPendingMigrations(files, applied.slice(1, 2)), {
    code: 'history_refused',
    extensions: { problems },
  })
})

test('a row with another previous hash is rejected', async (t) => {
  const { files, applied } = await createHistory(t, BODIES)
  const [first, second] = applied
  if (!first || !second) throw new Error('the history has no two rows')

  const problems = [
    {
      filename: '000002-step-2.sql',
      problem: /^does not follow the same migration .* previous hash -, the file has sha1:/,
    },
  ]
  const unchained = [first, { ...second, previousHash: null }]
  t.throws(() => findPendingMigrations(files, unchained), {
    code: 'history_refused',
    extensions: { problems },
  })
})

test('a database that was never migrated has no history', async (t) => {
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

test('the history of a migrated database matches the committed files', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  const applied = await readAppliedMigrations(pool)

  t.ok(applied.length > 0)
  t.strictSame(findPendingMigrations(await readCommittedMigrations('migrations'), applied), [])
})

test('an ignored header is refused while the file is pending, and left alone once it is applied', async (t) => {
  const folder = createMigrationsFolder(t, ['select 1;', '-- why\n--! no-transaction\nselect 2;'])
  const { applied } = await createHistory(t, ['select 1;', '-- why\n--! no-transaction\nselect 2;'])
  const databaseWith = (rows: object[]) => ({ query: async () => ({ rows }) }) as never

  await t.rejects(readMigrationStatus(databaseWith(applied.slice(0, 1)), folder), {
    code: 'history_refused',
    exitCode: 5,
    message: /000002-step-2\.sql has a header that graphile-migrate ignores, line 6: /,
  })
  const { pending } = await readMigrationStatus(databaseWith(applied), folder)
  t.strictSame(pending, [])
})

test('a character that cannot be seen is refused while its file is pending', async (t) => {
  const folder = createMigrationsFolder(t, ['select 1;', 'create table shop\u200b ();'])
  const database = { query: async () => ({ rows: [] }) } as never

  await t.rejects(readMigrationStatus(database, folder), {
    code: 'history_refused',
    message: /000002-step-2\.sql has a character outside quotes that cannot be seen, line 5, /,
  })
})
