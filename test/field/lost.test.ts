// What happens when sessions or the whole database are lost on the way: rows E1, F2, F3 and F11.
import { test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'
import { startService } from '../support/service.ts'

const END_OTHERS = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid();`
const END_SERVICE = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name like 'commandbus-db%'`

test('a migration that ends all other sessions is applied, and the service becomes ready', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, [
      'create schema one;',
      END_OTHERS,
      'create schema two;',
    ]),
  })

  await service.waitForReady()

  t.match((await service.get('/status')).body.migrations, { applied: [{}, {}, {}], pending: [] })
  t.match(await service.stop(), { code: 0 })
})

test('a service whose sessions are all ended while it migrates goes on at the boundary', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create table public.gate ()')
  const holder = await pool.connect()
  await holder.query('begin; lock table public.gate')
  const service = startService(t, {
    DATABASE_URL: url,
    LOCK_TIMEOUT_MS: '0',
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create schema one;', 'table public.gate;']),
  })
  await service.waitForLog('a migration waits for a lock')

  await pool.query(END_SERVICE)
  await service.waitForLog('lost the database while provisioning')
  await holder.query('commit')
  holder.release()

  await service.waitForReady()
  t.match(await service.stop(), { code: 0 })
})

test('a service whose session is ended while it waits for the migration lock goes on waiting', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const holder = await pool.connect()
  await holder.query('select pg_advisory_lock(4727445306447283)')
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create schema one;']),
  })
  await service.waitForReason('waiting_for_lock')

  await pool.query(END_SERVICE)
  await service.waitForLog('lost the database while provisioning')
  await holder.query('select pg_advisory_unlock_all()')
  holder.release()

  await service.waitForReady()
  t.match(await service.stop(), { code: 0 })
})

test('a database that is lost in the middle of a migration is waited for; the migration runs again', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const service = startService(t, {
    DATABASE_URL: proxy.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, [
      'create schema one;',
      'create table one.t (); select pg_sleep(2);',
      'create table one.u ();',
    ]),
  })
  await becomes(t, async () => (await service.get('/readyz')).body.detail?.includes('2 of 3'), true)

  proxy.cut()
  await service.waitForReason('waiting_for_database')
  proxy.restore()

  await service.waitForReady()
  const { rows } = await pool.query('select filename from graphile_migrate.migrations')
  t.equal(rows.length, 3)
  t.match(await service.stop(), { code: 0 })
})

for (const ON_MIGRATION_FAILURE of ['exit', 'stay']) {
  test(`a database that stays lost, with ON_MIGRATION_FAILURE=${ON_MIGRATION_FAILURE}`, async (t) => {
    const { url } = await createTestDatabase(t, { from: 'empty' })
    const proxy = await openProxy(t, url)
    const service = startService(t, {
      DATABASE_URL: proxy.url,
      DATABASE_WAIT_SECONDS: '1',
      MIGRATIONS_DIR: createMigrationsFolder(t, ['create schema one;', 'select pg_sleep(3);']),
      ON_MIGRATION_FAILURE,
    })
    await service.waitForReason('migrating')
    proxy.cut()

    if (ON_MIGRATION_FAILURE === 'exit') {
      t.match(await service.ended, { code: 3 })
      const fatal = service.log().find(({ level }) => level === 'fatal')
      t.match(fatal?.err, { code: 'database_lost' })
      return
    }
    await service.waitForReason('database_unavailable')
    proxy.restore()
    await service.waitForReady()
    t.match(await service.stop(), { code: 0 })
  })
}
