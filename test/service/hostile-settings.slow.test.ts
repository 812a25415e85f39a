// Settings that belong to applications must not change what the service does: rows D10 and B3.
import { test } from 'tap'
import { startResetting } from '../reset/running.ts'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { startService } from '../support/service.ts'

/** What an owner can set on a database, each with a value that differs from PostgreSQL's own. */
const HOSTILE: Readonly<Record<string, string>> = {
  quote_all_identifiers: 'on',
  standard_conforming_strings: 'off',
  backslash_quote: 'off',
  search_path: 'app',
  array_nulls: 'off',
  transform_null_equals: 'on',
  xmloption: 'document',
  xmlbinary: 'hex',
  check_function_bodies: 'off',
  'plpgsql.extra_errors': 'all',
  'plpgsql.variable_conflict': 'use_column',
  DateStyle: 'German, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kathmandu',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  row_security: 'off',
  default_tablespace: 'missing',
  exit_on_error: 'on',
  client_min_messages: 'error',
  lc_monetary: 'C.UTF-8',
  statement_timeout: '1s',
  lock_timeout: '1s',
  transaction_timeout: '1s',
  // Less than the time between two looks of the monitor.
  idle_session_timeout: '300ms',
  idle_in_transaction_session_timeout: '300ms',
}

test('a service starts, shows its status and resets whatever an owner has set on the database', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  for (const [setting, value] of Object.entries(HOSTILE)) {
    const { rowCount } = await pool.query('select from pg_settings where name = $1', [setting])
    if (rowCount === 0 && setting === 'transaction_timeout') continue
    await pool.query(`alter database ${name} set ${setting} = '${value}'`)
  }
  const MIGRATIONS_DIR = createMigrationsFolder(t, [
    `set default_tablespace = '';
     create schema app;
     create table app.seeds (id int primary key, at timestamptz, raw bytea, words text[]);
     insert into app.seeds values (1, '2024-01-02 03:04:05+06', 'x', array['a', null]);`,
  ])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR }, { isReady: false })
  await service.waitForReady().catch(() => t.fail(service.output()))

  const { body } = await service.get('/status')
  t.match(body, {
    state: 'ready',
    migrations: { applied: [{ filename: '000001-step-1.sql' }], pending: [] },
    schemas: { app: { tables: ['seeds'] } },
  })
  t.match(await service.reset(), { status: 200 })
  t.match(await service.reset({ mode: 'rebuild' }), { status: 200 })
  t.match((await service.get('/status')).body, { schemas: { app: { tables: ['seeds'] } } })
  t.match(await service.reset(), { status: 200 })
})

test('readiness does not flap for the limits of the role', async (t) => {
  const role = await createTestRole(t)
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`alter database ${name} owner to ${role}`)
  t.teardown(() => pool.query(`reassign owned by ${role} to current_user`).catch(() => {}))
  const { rows: limits } = await pool.query<{ name: string }>(
    `select name from pg_settings
      where name in ('idle_session_timeout', 'transaction_timeout', 'statement_timeout')`,
  )
  for (const limit of limits) await pool.query(`alter role ${role} set ${limit.name} = '1s'`)
  const service = startService(t, {
    DATABASE_URL: url.replace('postgres@', `${role}@`),
    MIGRATIONS_DIR: createMigrationsFolder(t, ['select pg_sleep(1.2);']),
  })
  await service.waitForReady()

  const isOld = async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and application_name = 'commandbus-db monitor'
          and clock_timestamp() - backend_start > interval '1.5 seconds'`,
    )
    return rowCount
  }
  await becomes(t, isOld, 1)
  t.notMatch(service.output(), 'database unavailable')
  t.match(await service.stop(), { code: 0 })
})
