import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import type { Database } from '../../../src/database/database.ts'
import { NOT_COMPARED } from '../../../src/drift/drift.ts'
import { readCommittedMigrations } from '../../../src/migrations/files/committed.ts'
import { createReadiness } from '../../../src/readiness.ts'
import { createStatusReader, type StatusSources } from '../../../src/status.ts'
import { createTestApp } from '../../support/app.ts'
import { becomes } from '../../support/becomes.ts'
import { createMigrationsFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts'

function describeSources({ name, pool }: TestDatabase, migrationsDir: string): StatusSources {
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const database = { kind: 'given', host: 'db', port: 5432, name, pool } as const
  return {
    startedAt: new Date(),
    migrationsDir,
    readiness,
    database: () => database,
    serverVersion: () => '18.4',
    reset: () => ({ enabled: false }),
    drift: () => NOT_COMPARED,
  }
}

test('GET /status shows the content of a migrated database, without what extensions and tools own', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  await database.pool.query('create schema provisioning; create table provisioning.mark ()')
  const readStatus = createStatusReader(describeSources(database, 'migrations'))

  const response = await createTestApp(t, { readStatus }).inject('/status')

  t.equal(response.statusCode, 200)
  const { schemas, migrations, database: facts } = response.json()
  t.strictSame(Object.keys(schemas), ['commandbus', 'e2e'])
  for (const table of ['audit', 'batch', 'command', 'payload_archive']) {
    t.ok(schemas.commandbus.tables.includes(table), table)
  }
  t.ok(schemas.commandbus.functions.includes('sp_finish_command'))
  t.strictSame(schemas.e2e.tables, ['batch_summary', 'config', 'test_command'])
  t.match(facts, { kind: 'given', pgmq: { installedAs: String, messageColumns: Array } })
  t.match(migrations, {
    applied: [
      { filename: '000001-commandbus.sql', name: 'commandbus', appliedAt: String, hash: /^sha1:/ },
      { filename: '000002-e2e.sql', name: 'e2e' },
    ],
    pending: [],
    current: { empty: Boolean },
  })
  t.notMatch(response.body, database.url)
})

test('the status shows user objects in public, and pending migrations', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  await database.pool.query('create table public.notes (); create schema "Odd name"')
  const folder = createMigrationsFolder(t, ['select 1;'])

  const status = await createStatusReader(describeSources(database, folder))()

  t.strictSame(status.schemas, {
    'Odd name': { tables: [], functions: [] },
    public: { tables: ['notes'], functions: [] },
  })
  t.equal(status.database?.pgmq, null)
  t.match(status.migrations, { applied: [], pending: [{ filename: '000001-step-1.sql' }] })
})

test('a file with a problem does not hide the names of others, or pending migrations', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, ['select 1;', 'select 2;', 'select 3;'])
  const hashes = (await readCommittedMigrations(folder)).map(({ hash }) => hash)
  await database.pool.query(
    `create schema graphile_migrate;
     create table graphile_migrate.migrations as
       select * from (values ('000001.sql', '${hashes[0]}', null, now()),
                             ('000002.sql', '${hashes[1]}', '${hashes[0]}', now()))
              as migrations (filename, hash, previous_hash, date)`,
  )
  writeFileSync(join(folder, 'committed', 'notes.txt'), '')
  appendFileSync(join(folder, 'committed', '000002-step-2.sql'), 'select 4;')

  const { migrations } = await createStatusReader(describeSources(database, folder))()

  t.match(migrations.applied, [
    { filename: '000001-step-1.sql', name: 'step-1' },
    { filename: '000002-step-2.sql', name: 'step-2', hash: hashes[1] },
  ])
  t.match(migrations.pending, [{ filename: '000003-step-3.sql' }])
  t.equal(migrations.pending.length, 1)
})

test('without an answer of the database the status has the last known facts', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const sources = describeSources(database, 'migrations')
  let isGone = false
  const gone = { ...sources.database(), pool: { query: () => new Promise(() => {}) } }
  const readStatus = createStatusReader({
    ...sources,
    database: () => (isGone ? (gone as unknown as Database) : sources.database()),
  })
  const before = await readStatus()

  isGone = true
  let after: typeof before | undefined
  void readStatus().then((status) => {
    after = status
  })

  await becomes(t, async () => after?.migrations, before.migrations)
  t.ok(before.migrations.applied.length > 0)
  t.strictSame(after?.schemas, before.schemas)
})

test('a flood of requests shares answers, until the state changes', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const sources = describeSources(database, 'migrations')
  let queries = 0
  const pool = { query: (text: string) => ++queries && database.pool.query(text) }
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const readStatus = createStatusReader({
    ...sources,
    readiness,
    database: () => ({ ...sources.database(), pool }) as unknown as Database,
  })
  for (let i = 0; i < 20; i++) await readStatus()
  const before = queries

  for (let i = 0; i < 1000; i++) await readStatus()
  t.ok(queries - before < 20 * before, `${queries} queries`)

  readiness.set({ ready: false, reason: 'stopping', detail: 'at once' })
  t.equal((await readStatus()).state, 'stopping')
})

test('requests at the same time share one answer', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const readStatus = createStatusReader(describeSources(database, 'migrations'))

  const answers = await Promise.all(Array.from({ length: 10 }, readStatus))

  t.equal(new Set(answers).size, 1)
  t.not(await readStatus(), answers[0])
})

test('before the database is open, the status has none', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const sources = describeSources(database, 'migrations')

  const status = await createStatusReader({
    ...sources,
    readiness: createReadiness(),
    database: () => undefined,
  })()

  t.match(status, { state: 'waiting_for_database', database: null, schemas: {} })
})

for (const reason of ['waiting_for_database', 'database_unavailable'] as const) {
  test(`the status does not query a database that cannot be reached (${reason})`, async (t) => {
    const database = await createTestDatabase(t, { from: 'empty' })
    const sources = describeSources(database, 'migrations')
    const readiness = createReadiness()
    const queries: unknown[] = []
    const pool = { query: async (query: unknown) => void queries.push(query) }

    readiness.set({ ready: false, reason, detail: 'no answer yet' })
    const status = await createStatusReader({
      ...sources,
      readiness,
      database: () => ({ ...sources.database(), pool }) as unknown as Database,
    })()

    t.match(status, { state: reason, database: { kind: 'given' } })
    t.same(queries, [])
  })
}
