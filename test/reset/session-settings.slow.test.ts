import { test } from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { startResetting } from './running.ts'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'
import { createResetWorld } from './world.ts'

/** Rows with every type whose text depends on a setting. */
const SCHEMA = `
  create table public.seeds (
    id int primary key, words text[], at timestamptz, span interval, raw bytea, weight float8, document xml, price money);
  insert into public.seeds values
    (1, array['a', null, 'NULL'], '2024-01-02 03:04:05+06', '1 mon 2 days 03:04', '\\xdead',
     0.1::float8 + 0.2, '<a>b</a>', 12.5)`

const SETTINGS: readonly string[] = [
  'array_nulls = off',
  `DateStyle = 'German'`,
  `IntervalStyle = 'sql_standard'`,
  `TimeZone = 'Asia/Kathmandu'`,
  'bytea_output = escape',
  'extra_float_digits = 0',
  'quote_all_identifiers = on',
  'standard_conforming_strings = off',
  `default_transaction_isolation = 'serializable'`,
  'default_transaction_read_only = on',
  `search_path = ''`,
  `statement_timeout = '100ms'`,
  `lock_timeout = '1ms'`,
  `idle_in_transaction_session_timeout = '1ms'`,
  `plpgsql.variable_conflict = use_column`,
  `plpgsql.extra_errors = 'all'`,
  'transform_null_equals = on',
  'backslash_quote = off',
  'xmloption = document',
  'check_function_bodies = off',
  'default_transaction_deferrable = on',
  'row_security = off',
  'exit_on_error = on',
  `default_tablespace = 'missing'`,
  `restrict_nonsystem_relation_kind = 'view'`,
  `lc_monetary = 'C.UTF-8'`,
]

/** Those that the migrations of the project tolerate, all at once. */
const TOLERATED = SETTINGS.filter(
  (setting) => !/read_only|search_path|standard_conforming|timeout|restrict_|exit_on/.test(setting),
)

test('no setting of the database changes what a reset restores', async (t) => {
  for (const setting of SETTINGS) {
    const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
    const before = await takeSnapshot(world.pool)
    await world.pool.query('update public.seeds set words = null, raw = null, weight = 1')
    const known = await world.pool.query('select from pg_settings where name = $1', [
      setting.split(' ')[0]?.toLowerCase(),
    ])
    // PostgreSQL 15 lacks the newest.
    if (known.rowCount === 0 && setting.startsWith('restrict_')) continue
    await world.pool.query(`alter database ${world.name} set ${setting}`)

    const { result } = await world.reset()

    t.same(result.tables, { emptied: [], restored: ['public.seeds'] }, setting)
    t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [], setting)
  }
})

test('no setting of the database changes what a rebuild makes', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  const service = await startResetting(t, { DATABASE_URL: url })
  const countObjects = async () =>
    (
      await pool.query(
        'select relnamespace::regnamespace::text as schema, count(*) from pg_class group by 1 order by 1',
      )
    ).rows
  const before = await countObjects()
  for (const setting of TOLERATED) await pool.query(`alter database ${name} set ${setting}`)

  t.match(await service.reset({ mode: 'rebuild' }), { status: 200 })
  t.same(await countObjects(), before)
  t.match(await service.reset(), { status: 200 })
})

test('a reset reports queues by name in a database that quotes all identifiers', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  await world.pool.query(`select pgmq.send('payments__commands', '{}')`)
  await world.pool.query(`alter database ${world.name} set quote_all_identifiers = on`)

  const { result } = await world.reset()

  t.same(result.queues, { emptied: ['payments__commands'], dropped: [] })
})

test('the role’s transaction timeout does not apply to a reset', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.parents (id int primary key);
             create table public.children (parent_id int references public.parents)`,
  })
  const { rows } = await world.pool.query(
    `select from pg_settings where name = 'transaction_timeout'`,
  )
  if (rows.length === 0) {
    t.pass('transaction_timeout', { skip: 'NOT TESTED: PostgreSQL has no such limit before 17' })
    return
  }
  await world.pool.query(`alter database ${world.name} set transaction_timeout = '50ms'`)
  await world.pool.query(`insert into public.parents select generate_series(1, 200);
                          insert into public.children select 1 + n % 200 from generate_series(1, 9000) n`)
  const reader = await world.pool.connect()
  t.teardown(async () => reader.release(true))
  // With a reader the tables are not truncated, and deleting row by row takes longer than the timeout.
  await reader.query(
    'set transaction_timeout to 0; begin; select from children; select from parents',
  )

  const { result } = await world.reset()

  t.same(result.tables.emptied, ['public.children', 'public.parents'])
})

test('functions of constraints are called with the search_path of the database', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create schema app;
      create function app.helper(v int) returns int language sql immutable as 'select v + 1';
      create function app.check_it(v int) returns bool language plpgsql immutable
        as 'begin return helper(v) > 0; end';
      create function app.twice(v int) returns int language plpgsql immutable
        as 'begin return helper(v) * 2; end';
      set search_path to app;
      create table app.seeds (amount int check (app.check_it(amount)), doubled int generated always as (app.twice(amount)) stored);
      insert into app.seeds values (1)`,
  })
  await world.pool.query(`alter database ${world.name} set search_path = app`)
  await world.pool.query('delete from app.seeds')

  await world.reset()

  t.same((await world.pool.query('select amount, doubled from app.seeds')).rows, [
    { amount: 1, doubled: 4 },
  ])
})
