import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Test, test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'
import { type Service, startService } from '../support/service.ts'

const SLOW = [
  'create table public.before ();',
  'create table public.during (); select pg_sleep(60);',
]
const TOOL_LOCK = '4727445306447283'

async function waitFor(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`no ${what}`)
    await sleep(20)
  }
}

/** Creates a database, and a function that counts its sessions with a statement or transaction. */
async function createWatchedDatabase(t: Test) {
  const database = await createTestDatabase(t, { from: 'empty' })
  const countBusy = async () => {
    const { rows } = await database.pool.query(
      `select count(*)::int as busy from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
          and backend_type = 'client backend' and state <> 'idle'`,
    )
    return rows[0].busy as number
  }
  return { ...database, countBusy }
}

/** Starts a service and waits until its second migration is running. */
async function startMigrating(
  t: Test,
  database: Awaited<ReturnType<typeof createWatchedDatabase>>,
  command?: readonly [string, ...string[]],
): Promise<Service> {
  const env = {
    DATABASE_URL: database.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, SLOW),
    LOG_LEVEL: 'debug',
  }
  const service = startService(t, env, command)
  await waitFor('sleeping migration', async () => {
    const { rows } = await database.pool.query(
      `select from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()`,
    )
    return rows.length > 0
  })
  return service
}

async function holdLock(t: Test, url: string, sql: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'lock holder' })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  await client.query(sql)
  return client
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} while migrating rolls back, leaves no busy session and exits with 0`, async (t) => {
    const database = await createWatchedDatabase(t)
    const service = await startMigrating(t, database)
    t.match(await service.get('/readyz'), {
      status: 503,
      body: { reason: 'migrating', detail: /2 of 2/ },
    })

    t.match(await service.stop(signal), { code: 0 })

    t.equal(await database.countBusy(), 0)
    const { rows } = await database.pool.query(
      `select to_regclass('before') is not null as before, to_regclass('during') as during`,
    )
    t.strictSame(rows, [{ before: true, during: null }])
  })
}

test('a signal to the whole process group while migrating exits with 0', async (t) => {
  const database = await createWatchedDatabase(t)
  const service = await startMigrating(t, database)

  process.kill(-(service.child.pid ?? 0), 'SIGINT')

  t.match(await service.ended, { code: 0 })
  t.equal(await database.countBusy(), 0)
})

for (const target of ['npm alone', 'its process group'] as const) {
  test(`npm start exits with 0 and leaves no process if ${target} gets a signal while migrating`, async (t) => {
    const database = await createWatchedDatabase(t)
    const service = await startMigrating(t, database, ['npm', 'start'])
    const { pid = 0 } = service.child

    process.kill(target === 'npm alone' ? pid : -pid, 'SIGTERM')

    t.match(await service.ended, { code: 0 })
    t.equal(await database.countBusy(), 0)
    t.notOk(isRunning(-pid), 'no process of the group is left')
  })
}

test('a stop while reading the history exits with 0, also with ON_MIGRATION_FAILURE=stay', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  const holder = await holdLock(t, url, 'begin; lock table graphile_migrate.migrations')
  const service = startService(t, {
    DATABASE_URL: url,
    ON_MIGRATION_FAILURE: 'stay',
    // A different history: the start fails once it can read the table.
    MIGRATIONS_DIR: createMigrationsFolder(t, ['select 1;']),
  })
  await waitFor('blocked read of the history', async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where application_name = 'commandbus-db lock' and wait_event_type = 'Lock'
          and datname = current_database()`,
    )
    return rows.length > 0
  })

  service.child.kill('SIGTERM')
  await service.waitForLog('stopping')
  await holder.query('rollback')

  t.match(await service.ended, { code: 0 })
  t.notMatch(service.output(), 'staying', 'but a stopping service does not claim to stay up')
})

test('a stop while waiting for the database exits with 0', async (t) => {
  const service = startService(t, { DATABASE_URL: 'postgres://u@127.0.0.1:1/d' })
  await service.waitForReason('waiting_for_database')

  t.match(await service.stop(), { code: 0 })
})

test('a stop while a server accepts connections but does not answer exits with 0', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  t.teardown(() => silent.close())
  const { port } = silent.address() as { port: number }
  const service = startService(t, { DATABASE_URL: `postgres://u@127.0.0.1:${port}/d` })
  await service.waitForLog('listening')

  t.match(await service.stop(), { code: 0 })
})

test('a service waits for the lock of another one, names its session, and exits with 6', async (t) => {
  const database = await createWatchedDatabase(t)
  await startMigrating(t, database)
  const second = startService(t, {
    DATABASE_URL: database.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, SLOW),
    MIGRATION_LOCK_SECONDS: '1',
  })

  t.match(await second.waitForReason('waiting_for_lock'), {
    status: 503,
    body: { detail: /pid \d+, application commandbus-db lock, connected since 20/ },
  })

  t.match(await second.ended, { code: 6 })
  t.match(second.log().at(-2), { level: 'fatal', err: { code: 'migration_lock_timeout' } })
})

test("a service also waits for the tool's own lock, and a stop during the wait exits with 0", async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])
  const holder = await holdLock(t, url, `select pg_advisory_lock(${TOOL_LOCK})`)
  const env = { DATABASE_URL: url, MIGRATIONS_DIR }
  const waiting = startService(t, env)
  const impatient = startService(t, { ...env, MIGRATION_LOCK_SECONDS: '0' })
  const stopped = startService(t, env)

  t.match(await waiting.waitForReason('waiting_for_lock'), {
    body: { detail: /held by pid \d+, application (lock holder|commandbus-db lock),/ },
  })
  t.match(await impatient.ended, { code: 6 })
  await stopped.waitForReason('waiting_for_lock')
  t.match(await stopped.stop(), { code: 0 })

  await holder.query(`select pg_advisory_unlock(${TOOL_LOCK})`)
  await waiting.waitForReady()
  t.match(await waiting.stop(), { code: 0 })
})

test("terminating the tool's backend while migrating rolls back and exits with 4", async (t) => {
  const database = await createWatchedDatabase(t)
  const service = await startMigrating(t, database)

  await database.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where wait_event = 'PgSleep' and datname = current_database()`,
  )

  t.match(await service.ended, { code: 4 })
  t.equal(await database.countBusy(), 0)
})

test('PostgreSQL rolls back by itself if the service is killed while migrating', async (t) => {
  const database = await createWatchedDatabase(t)
  const service = await startMigrating(t, database)

  service.child.kill('SIGKILL')
  await service.ended

  await waitFor('rollback', async () => (await database.countBusy()) === 0)
})

test('signals within half a second count as one; a later one exits at once with 1', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const service = startService(t, {
    DATABASE_URL: proxy.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, SLOW),
  })
  await service.waitForReason('migrating')
  // The database no longer answers, so the stop waits for the rollback.
  proxy.pause()
  service.child.kill('SIGTERM')
  service.child.kill('SIGINT')
  service.child.kill('SIGTERM')
  // The rule itself is about time: longer than the half second.
  await sleep(600)
  t.equal(service.child.exitCode, null)

  t.match(await service.stop(), { code: 1 })
})

test('a stop that takes longer than SHUTDOWN_SECONDS exits with 1', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const service = startService(t, {
    DATABASE_URL: proxy.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, SLOW),
    SHUTDOWN_SECONDS: '1',
  })
  await service.waitForReason('migrating')
  proxy.pause()

  t.match(await service.stop(), { code: 1 })
})
