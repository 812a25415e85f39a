import pg from 'pg'
import { test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'
import { loadServer } from '../support/server.ts'
import { startService } from '../support/service.ts'

const BODIES = ['create schema one;', 'create table one.t ();']

for (const how of ['cut', 'pause'] as const) {
  test(`the service reports a lost database (${how}) and recovers by itself`, async (t) => {
    const { url } = await createTestDatabase(t, { from: 'empty' })
    const proxy = await openProxy(t, url)
    const service = startService(t, {
      DATABASE_URL: proxy.url,
      MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
    })
    await service.waitForReady()
    await service.get('/status')

    proxy[how]()
    t.match(await service.waitForReason('database_unavailable'), { status: 503 })
    t.equal((await service.get('/livez')).status, 200)
    t.match(await service.get('/status'), {
      status: 200,
      body: { state: 'database_unavailable', migrations: { applied: [{}, {}] } },
    })

    proxy.restore()
    await service.waitForReady()
    t.match(await service.stop(), { code: 0 })
  })
}

test('a different database at the address of the lost one is not ready', async (t) => {
  const { url, name } = await createTestDatabase(t, { from: 'empty' })
  const admin = new pg.Pool({ connectionString: loadServer().url })
  t.teardown(() => admin.end())
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await service.waitForReady()

  await admin.query(`alter database ${name} allow_connections false`)
  await admin.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`,
  )
  await admin.query(`drop database ${name}`)
  await admin.query(`create database ${name} template template0`)

  await becomes(t, async () => (await service.get('/readyz')).body, {
    status: 'not_ready',
    reason: 'database_unavailable',
    detail:
      'another database answers at this address (another system identifier or oid): if that is ' +
      'intended, restart the service',
  })
  t.match(await service.stop(), { code: 0 })
})

test('the service reopens a session that was terminated', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await service.waitForReady()
  await service.get('/status')

  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'commandbus-db%'`,
  )
  await service.waitForReady()

  t.match((await service.get('/status')).body, { migrations: { applied: [{}, {}] } })
  t.match(await service.stop(), { code: 0 })
})
