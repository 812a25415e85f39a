import { type Test, test } from 'tap'
import { type LockOptions, withMigrationLock } from '../../src/migrations/service-lock.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { becomes } from '../support/becomes.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'

/** The advisory lock of graphile-migrate itself, as its source has it. */
const TOOL_LOCK = 'select pg_advisory_lock(4727445306447283)'

async function connect(t: Test, database: TestDatabase, purpose: string): Promise<SessionClient> {
  const client = await database.open(purpose)
  t.teardown(() => client.end())
  return client
}

function describeLock(
  t: Test,
  database: TestDatabase,
  name: string,
  options: Partial<LockOptions> = {},
): LockOptions {
  return {
    connect: () => connect(t, database, name),
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    onWaiting: () => {},
    ...options,
  }
}

test('a second session acquires the lock once the first has released it', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const events: string[] = []

  await withMigrationLock(describeLock(t, database, 'first'), async () => {
    const waiting = new Promise<string>((resolve) => {
      const lock = describeLock(t, database, 'second', { onWaiting: resolve })
      void withMigrationLock(lock, async () => events.push('second'))
    })
    t.match(
      await waiting,
      /^waiting for the migration lock: held by pid \d+, application commandbus-db first, connected since 20/,
    )
    events.push('first')
  })

  await becomes(t, async () => events, ['first', 'second'])
})

test('a session that waits for the lock holds no connection', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const countWaiting = async () => {
    const { rowCount } = await database.pool.query(
      `select from pg_stat_activity
        where datname = current_database() and application_name = 'commandbus-db second'`,
    )
    return rowCount
  }
  let attempts = 0

  await withMigrationLock(describeLock(t, database, 'first'), async () => {
    const stopping = new AbortController()
    const connectSecond = () => {
      attempts += 1
      return connect(t, database, 'second')
    }
    const lock = describeLock(t, database, 'second', {
      connect: connectSecond,
      signal: stopping.signal,
    })
    const waiting = withMigrationLock(lock, async () => {}).catch((error) => error)
    await becomes(t, async () => attempts > 2, true)
    await becomes(t, countWaiting, 0)
    stopping.abort()
    await waiting
  })
})

test('the lock is released when the work fails', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const failure = new Error('the work failed')

  await t.rejects(
    withMigrationLock(describeLock(t, database, 'first'), () => Promise.reject(failure)),
    failure,
  )

  const once = describeLock(t, database, 'second', { timeoutMs: 0 })
  await t.resolves(withMigrationLock(once, async () => {}))
})

test('a wait that times out names the session that holds the lock', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })

  await withMigrationLock(describeLock(t, database, 'first'), async (first) => {
    const { rows } = await first.query<{ pid: number }>('select pg_backend_pid() as pid')
    const once = describeLock(t, database, 'second', { timeoutMs: 0 })
    await t.rejects(
      withMigrationLock(once, async () => {}),
      {
        code: 'migration_lock_timeout',
        exitCode: 6,
        message: new RegExp(
          `^could not acquire the migration lock within 0 s .*pid ${rows[0]?.pid}, application commandbus-db first`,
        ),
      },
    )
  })
})

test('a stop ends the wait for the lock', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const stopping = new AbortController()
  const reason = new Error('stopping')

  await withMigrationLock(describeLock(t, database, 'first'), async () => {
    const lock = describeLock(t, database, 'second', {
      signal: stopping.signal,
      onWaiting: () => stopping.abort(reason),
    })
    await t.rejects(
      withMigrationLock(lock, async () => {}),
      reason,
    )
  })
})

test("graphile-migrate's own lock is waited for in this database", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = await connect(t, database, 'elsewhere')
  await tool.query(TOOL_LOCK)

  const once = describeLock(t, database, 'service', { timeoutMs: 0 })
  await t.rejects(
    withMigrationLock(once, (_, lock) => lock.waitForTool()),
    {
      code: 'migration_lock_timeout',
      message:
        /^graphile-migrate's own lock was not released within 0 s .*application commandbus-db elsewhere/,
    },
  )
})

test("graphile-migrate's own lock in another database is ignored", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = await connect(t, await createTestDatabase(t, { from: 'empty' }), 'elsewhere')
  await tool.query(TOOL_LOCK)

  const once = describeLock(t, database, 'service', { timeoutMs: 0 })
  await t.resolves(withMigrationLock(once, (_, lock) => lock.waitForTool()))
})
