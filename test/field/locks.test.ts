// How a migration waits for locks: the field's rows B1, B2 and B8.
import pg from 'pg'
import { type Test, test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

const HOT = 'create table public.hot (id int); insert into public.hot values (1);'
const ALTER = 'alter table public.hot add column c int;'

async function connect(t: Test, url: string, application: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: application })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** A database with a table that a reader has open, and a service whose migration needs it. */
async function startBlocked(t: Test, body: string, env: Record<string, string> = {}) {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(HOT)
  const reader = await connect(t, url, 'a slow report')
  await reader.query(`begin; select 'secret', * from public.hot`)
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, ['select 1;', body]),
    ...env,
  })
  return { url, pool, reader, service }
}

test('a migration that does not get its lock lets other readers pass, names the blocker and is tried again', async (t) => {
  const { pool, reader, service, url } = await startBlocked(t, ALTER, { LOCK_TIMEOUT_MS: '1100' })

  const blocked =
    /000002-step-2.sql, 2 of 2.* pid \d+, application a slow report, idle in transaction, open for \d+ s/
  await becomes(t, async () => blocked.test((await service.get('/readyz')).body.detail), true)
  t.match((await service.get('/status')).body, { state: 'migrating', detail: blocked })
  await service.waitForLog('a migration did not get a lock')
  // While it pauses, nobody waits: this would fail with a timeout otherwise.
  const other = await connect(t, url, 'another reader')
  await other.query(`set statement_timeout = '5s'`)
  await other.query('select * from public.hot')
  await other.end()
  const waits = service.log().find(({ msg }) => msg === 'a migration waits for a lock')
  t.match(waits?.blockers, [{ application: 'a slow report', state: 'idle in transaction' }])
  t.match(JSON.stringify(waits), /select \?, \* from public.hot/)
  t.notMatch(service.output(), 'secret')

  await reader.query('commit')
  await service.waitForReady()
  const { rows } = await pool.query(
    `select count(*)::int as columns from information_schema.columns where table_name = 'hot'`,
  )
  t.strictSame(rows, [{ columns: 2 }])
  t.equal(
    service.log().filter(({ msg }) => msg === 'migration applied').length,
    2,
    'each migration is applied once',
  )
})

test('after LOCK_RETRY_SECONDS the service exits with 4 and names the blocker', async (t) => {
  const { service } = await startBlocked(t, `select 1;\n${ALTER}`, {
    LOCK_TIMEOUT_MS: '400',
    LOCK_RETRY_SECONDS: '1',
  })

  t.match(await service.ended, { code: 4 })
  t.match(service.log().find(({ level }) => level === 'fatal')?.err, {
    code: 'lock_timeout',
    migration: '000002-step-2.sql',
    sqlstate: '55P03',
    postgresMessage: /lock timeout/,
    message: /LOCK_RETRY_SECONDS.*application a slow report/,
    blockers: [{ application: 'a slow report', pid: Number, ageMs: Number }],
  })
  t.match(
    service.log().find(({ msg }) => msg.startsWith('LOCK_TIMEOUT_MS')),
    { level: 'warn', lockTimeoutMs: 400, deadlockTimeoutMs: 1000 },
    'a limit below the deadlock timeout is warned of',
  )
})

for (const own of ['set', 'set local']) {
  test(`a file's own "${own} lock_timeout" wins, and nowait is tried again`, async (t) => {
    const { pool, reader, service } = await startBlocked(
      t,
      `${own} lock_timeout = '90s';
       create table public.seen as select current_setting('lock_timeout') as own;
       lock table public.hot in access exclusive mode nowait;`,
    )
    await service.waitForLog('a migration did not get a lock')
    await reader.query('commit')
    await service.waitForReady()

    const { rows } = await pool.query('select own from public.seen')
    t.strictSame(rows, [{ own: '90s' }])
  })
}

test('outside a transaction there is no limit, and the blockers are named all the same', async (t) => {
  const { pool, reader, service } = await startBlocked(
    t,
    '--! no-transaction\ncreate index concurrently hot_id on public.hot (id);',
    { LOCK_TIMEOUT_MS: '100', LOCK_RETRY_SECONDS: '0' },
  )
  // It waits for the transactions that may use the table, and not for a lock on it.
  await reader.query('insert into public.hot values (2)')

  const waits = await service.waitForLog('a migration waits for a lock')
  t.match(waits.blockers, [{ application: 'a slow report' }])
  await reader.query('commit')
  await service.waitForReady()
  const { rows } = await pool.query(
    `select indisvalid from pg_index where indexrelid = 'hot_id'::regclass`,
  )
  t.strictSame(rows, [{ indisvalid: true }])
})

test('a prepared transaction is named as a blocker by its gid', async (t) => {
  const { url, pool, name } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(HOT)
  const client = await connect(t, url, 'prepares')
  await client.query(`begin; select * from public.hot; prepare transaction '${name}'`)
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, [ALTER]),
  })

  const waits = await service.waitForLog('a migration waits for a lock')
  t.match(waits.blockers, [{ pid: null, gid: name, state: 'prepared' }])
  await client.query(`rollback prepared '${name}'`)
  await service.waitForReady()
})

test('the victim of a deadlock is tried again', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create table public.a (); create table public.b ();')
  const other = await connect(t, url, 'the other one')
  // It looks for deadlocks long after the migration's session has: the migration is the victim.
  await other.query(`set deadlock_timeout = '60s'; begin; lock table public.b`)
  const service = startService(t, {
    DATABASE_URL: url,
    LOCK_TIMEOUT_MS: '0',
    MIGRATIONS_DIR: createMigrationsFolder(t, [
      'lock table public.a; lock table public.b; create table public.done ();',
    ]),
  })
  await service.waitForLog('a migration waits for a lock')

  await other.query('lock table public.a')
  await other.query('commit')

  await service.waitForReady()
  t.match(await service.waitForLog('a migration did not get a lock'), { reason: /deadlock/ })
})

test('a lock on the history is waited for within MIGRATION_LOCK_SECONDS, and its holder is named', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'migrated' })
  const holder = await connect(t, url, 'a locker')
  await holder.query('begin; lock table graphile_migrate.migrations in access exclusive mode')
  const [waiting, impatient] = ['60', '1'].map((MIGRATION_LOCK_SECONDS) =>
    startService(t, { DATABASE_URL: url, MIGRATION_LOCK_SECONDS }),
  )

  t.match(await impatient?.ended, { code: 6 })
  t.match(impatient?.log().find(({ level }) => level === 'fatal')?.err, {
    code: 'migration_lock_timeout',
    message: /MIGRATION_LOCK_SECONDS\).*(a locker|commandbus-db lock)/,
  })
  t.match((await waiting?.waitForReason('waiting_for_lock'))?.body.detail, /pid \d+, application/)
  await holder.query('commit')
  await waiting?.waitForReady()
})
