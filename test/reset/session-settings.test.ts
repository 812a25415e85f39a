import { test } from 'tap'
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
]

test('no setting of the database changes what a reset restores', async (t) => {
  for (const setting of SETTINGS) {
    const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
    const before = await takeSnapshot(world.pool)
    await world.pool.query('update public.seeds set words = null, raw = null, weight = 1')
    await world.pool.query(`alter database ${world.name} set ${setting}`)

    const { result } = await world.reset()

    t.same(result.tables, { emptied: [], restored: ['public.seeds'] }, setting)
    t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [], setting)
  }
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
