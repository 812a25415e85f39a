import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { test } from 'tap'
import { OPTIONAL_SCHEMA } from '../../src/config/config.ts'
import { provision } from '../../src/migrations/provision.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startResetting } from './running.ts'

test('a rebuild that is refused leaves the service ready all the while', async (t) => {
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

  t.match(await service.reset({ mode: 'rebuild', lockTimeoutMs: 400 }), { status: 423 })
  await reader.query('rollback')
  reader.release()
  await pool.query('select provisioning.forbid_reset()')
  t.match(await service.reset({ mode: 'rebuild' }), { status: 403 })

  isDone = true
  await probing
  t.same([...seen], [200])
  t.equal((await service.get('/readyz')).status, 200)
})

test('time limits of the role do not end what the lock session does', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  const run = (query: string) =>
    provision({
      config: {
        migrationsDir: createMigrationsFolder(t, ['select 1']),
        databaseWaitMs: 5000,
        migrationLockMs: 5000,
        nodeVariables: {},
      },
      database: { url, name, pool },
      optionalSchema: { ...OPTIONAL_SCHEMA, wanted: undefined },
      log: pino({ level: 'silent' }),
      signal: new AbortController().signal,
      onProgress: () => {},
      hooks: { afterLocking: async (client) => void (await client.query(query)) },
    })
  await run('select 1')
  await pool.query(`alter database ${name} set statement_timeout = '200ms'`)

  await t.resolves(run('select pg_sleep(0.5)'))
  // What a statement meets by itself is no lost connection.
  await t.rejects(run(`set statement_timeout = '10ms'; select pg_sleep(1)`), { code: '57014' })
})
