import pg, { type Client } from 'pg'
import { type Test, test } from 'tap'
import { type LockOptions, withMigrationLock } from '../../src/migrations/service-lock.ts'
import { becomes } from '../support/becomes.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'

/** The advisory lock of graphile-migrate itself, as its source has it. */
const TOOL_LOCK = 'select pg_advisory_lock(4727445306447283)'

async function connect(t: Test, { url }: TestDatabase, applicationName: string): Promise<Client> {
  const client = new pg.Client({ connectionString: url, application_name: applicationName })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

function describeLock(options: Partial<LockOptions> = {}): LockOptions {
  return {
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    onWaiting: () => {},
    ...options,
  }
}

test('a second session acquires the lock once the first has released it', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const first = await connect(t, database, 'first')
  const second = await connect(t, database, 'second')
  const events: string[] = []

  await withMigrationLock(first, describeLock(), async () => {
    const waiting = new Promise<string>((resolve) => {
      const lock = describeLock({ onWaiting: resolve })
      void withMigrationLock(second, lock, async () => events.push('second'))
    })
    t.match(
      await waiting,
      /^waiting for the migration lock: held by pid \d+, application first, connected since 20/,
    )
    events.push('first')
  })

  await becomes(t, async () => events, ['first', 'second'])
})

test('the lock is released when the work fails', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const first = await connect(t, database, 'first')
  const second = await connect(t, database, 'second')
  const failure = new Error('the work failed')

  await t.rejects(
    withMigrationLock(first, describeLock(), () => Promise.reject(failure)),
    failure,
  )

  await t.resolves(withMigrationLock(second, describeLock({ timeoutMs: 0 }), async () => {}))
})

test('a wait that times out names the session that holds the lock', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const first = await connect(t, database, 'first')
  const second = await connect(t, database, 'second')
  const { rows } = await first.query<{ pid: number }>('select pg_backend_pid() as pid')

  await withMigrationLock(first, describeLock(), async () => {
    await t.rejects(
      withMigrationLock(second, describeLock({ timeoutMs: 0 }), async () => {}),
      {
        code: 'migration_lock_timeout',
        exitCode: 6,
        message: new RegExp(
          `^could not acquire the migration lock within 0 s .*pid ${rows[0]?.pid}, application first`,
        ),
      },
    )
  })
})

test('a stop ends the wait for the lock', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const first = await connect(t, database, 'first')
  const second = await connect(t, database, 'second')
  const stopping = new AbortController()
  const reason = new Error('stopping')

  await withMigrationLock(first, describeLock(), async () => {
    const lock = describeLock({
      signal: stopping.signal,
      onWaiting: () => stopping.abort(reason),
    })
    await t.rejects(
      withMigrationLock(second, lock, async () => {}),
      reason,
    )
  })
})

test("graphile-migrate's own lock is waited for in this database", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = await connect(t, database, 'elsewhere')
  const client = await connect(t, database, 'service')
  await tool.query(TOOL_LOCK)

  await t.rejects(
    withMigrationLock(client, describeLock({ timeoutMs: 0 }), (lock) => lock.waitForTool()),
    {
      code: 'migration_lock_timeout',
      message: /^graphile-migrate's own lock was not released within 0 s .*application elsewhere/,
    },
  )
})

test("graphile-migrate's own lock in another database is ignored", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = await connect(t, await createTestDatabase(t, { from: 'empty' }), 'elsewhere')
  const client = await connect(t, database, 'service')
  await tool.query(TOOL_LOCK)

  await t.resolves(
    withMigrationLock(client, describeLock({ timeoutMs: 0 }), (lock) => lock.waitForTool()),
  )
})
