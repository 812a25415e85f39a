// What must happen once, although a start was interrupted: actions of .gmrc, and files outside a transaction.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

const END_SERVICE = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name like 'commandbus-db%'`

test('a start that loses the database runs each action once', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create table public.gate (); create table public.runs (hook text)')
  const holder = await pool.connect()
  await holder.query('begin; lock table public.gate')
  const folder = createMigrationsFolder(t, ['create schema one;', 'table public.gate;'])
  for (const hook of ['before', 'after']) {
    writeFileSync(join(folder, `${hook}.sql`), `insert into public.runs values ('${hook}');`)
  }
  writeFileSync(
    join(folder, '.gmrc'),
    JSON.stringify({ beforeAllMigrations: 'before.sql', afterAllMigrations: 'after.sql' }),
  )
  const service = startService(t, {
    DATABASE_URL: url,
    LOCK_TIMEOUT_MS: '0',
    MIGRATIONS_DIR: folder,
  })
  await service.waitForLog('a migration waits for a lock')

  await pool.query(END_SERVICE)
  await service.waitForLog('lost the database while provisioning')
  await holder.query('commit')
  holder.release()

  await service.waitForReady()
  const { rows } = await pool.query('select hook from public.runs')
  t.strictSame(rows, [{ hook: 'before' }, { hook: 'after' }])
  t.match(await service.stop(), { code: 0 })
})

test('the record of a file outside a transaction waits for a locked history', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const bodies = ['create schema one;', '--! no-transaction\ncreate schema two;']
  const start = (count: number) =>
    startService(t, {
      DATABASE_URL: url,
      LOCK_TIMEOUT_MS: '100',
      MIGRATIONS_DIR: createMigrationsFolder(t, bodies.slice(0, count)),
    })
  const first = start(1)
  await first.waitForReady()
  await first.stop()
  const holder = await pool.connect()
  await holder.query('begin; lock table graphile_migrate.migrations in share mode')

  const service = start(2)
  await service.waitForLog('a migration waits for a lock')
  await holder.query('commit')
  holder.release()

  await service.waitForReady()
  t.match(await service.stop(), { code: 0 })
})
