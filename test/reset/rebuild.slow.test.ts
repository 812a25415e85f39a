import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { test } from 'tap'
import { OPTIONAL_SCHEMA } from '../../src/config/config.ts'
import { LearnedSecrets } from '../../src/config/learned-secrets.ts'
import { provision } from '../../src/migrations/provision.ts'
import { openClient } from '../../src/postgres/client.ts'
import { rebuild } from '../../src/reset/rebuild.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { waitUntilBlocked } from '../support/sessions.ts'
import { startResetting } from './running.ts'
import { connect, createResetWorld } from './world.ts'

test('a rejected rebuild leaves the service ready all the time', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const migrationsDir = createMigrationsFolder(t, ['create table public.things ()'])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR: migrationsDir })
  const reader = await pool.connect()
  await reader.query('begin; select from things')
  const seen = new Set<number>()
  let isDone = false
  const probing = (async () => {
    for (; !isDone; await sleep(10)) seen.add((await service.get('/readyz')).status)
  })()

  try {
    t.match(await service.reset({ mode: 'rebuild', lockTimeoutMs: 400 }), {
      status: 423,
      body: { code: 'locked' },
    })
    await reader.query('rollback')
    reader.release()
    await pool.query('select provisioning.forbid_reset()')
    t.match(await service.reset({ mode: 'rebuild' }), {
      status: 403,
      body: { code: 'database_not_disposable' },
    })
  } finally {
    isDone = true
    await probing
  }

  t.same([...seen], [200])
  t.equal((await service.get('/readyz')).status, 200)
})

test('readers wait only briefly behind a rebuild that waits for another transaction', async (t) => {
  const schema = 'create table public.things (amount int)'
  const world = await createResetWorld(t, { from: 'empty', schema })
  const [other, reader] = [await connect(world.url), await connect(world.url)]
  const client = await connect(world.resetUrl)
  t.teardown(() => Promise.all([other.end(), reader.end(), client.end()]))
  await other.query('begin; select from public.things')
  const rebuilt = rebuild({
    sessions: world.sessions,
    database: world.database,
    lock: { lockTimeoutMs: 60_000, terminateBlockers: false },
    migrate: async (hooks) => hooks.afterLocking?.(client),
    onDropping() {},
    onDropped() {},
  })
  await waitUntilBlocked(world.pool, 'drop ')

  // Far below the lock timeout, and far above the time that a drop may wait.
  await reader.query(`set lock_timeout to '10s'`)
  await t.resolves(reader.query('select from public.things'))

  await other.query('commit')
  await rebuilt
})

test('time limits of the role do not apply to the session that holds the migration lock', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  const run = (query: string) =>
    provision({
      config: {
        migrationsDir: createMigrationsFolder(t, ['select 1']),
        databaseWaitMs: 5000,
        migrationLockMs: 5000,
        lockTimeoutMs: 2000,
        lockRetryMs: 5000,
        whenAhead: 'refuse',
        placeholderVariables: {},
        secrets: new LearnedSecrets(),
      },
      database: { url, name, pool, open: (purpose) => openClient(url, purpose) },
      optionalSchema: { ...OPTIONAL_SCHEMA, wanted: undefined },
      log: pino({ level: 'silent' }),
      signal: new AbortController().signal,
      onProgress: () => {},
      hooks: { afterLocking: async (client) => void (await client.query(query)) },
    })
  await run('select 1')
  await pool.query(`alter database ${name} set statement_timeout = '200ms'`)

  await t.resolves(run('select pg_sleep(0.5)'))
  // A statement's own timeout is not a lost connection.
  await t.rejects(run(`set statement_timeout = '10ms'; select pg_sleep(1)`), { code: '57014' })
})
