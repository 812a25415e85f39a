// What recording leaves out where a database is empty changes nothing in what it records.
import { test } from 'tap'
import { beginRecording, prepareFinish } from '../../src/baseline/recorder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createRecorded } from './recorded.ts'

const SCHEMA = `
  create extension pgmq;
  create schema app;
  create table app.item (id serial primary key, name text not null check (name <> ''), at date default now());
  create index on app.item (name);
  create view app.named as select name from app.item;
  create function app.one() returns int language sql as 'select 1';
  create type app.mood as enum ('good', 'bad');
  create publication items for table app.item;
  grant select on app.item to public;
  select pgmq.create('orders')`

const RECORD = `
  select kind, name, schema, parent, aspects
    from provisioning.recorded_object
   where moment = 'after'
     and schema is distinct from 'public'
   order by kind, name`

test('the first migration is recorded as it is where something was there before', async (t) => {
  const empty = await createRecorded(t, SCHEMA)
  const other = await createRecorded(t, SCHEMA, {
    before: 'create schema other; create table other.thing (id int)',
  })

  const { rows } = await empty.pool.query(RECORD)
  t.strictSame((await other.pool.query(RECORD)).rows, rows)
  t.ok(rows.length > 10, 'there is something to compare')
  for (const { pool } of [empty, other]) {
    t.match((await pool.query('select moment, schemas from provisioning.recorded_schema')).rows, [
      { moment: 'after', schemas: ['app'] },
    ])
  }
  t.match(await empty.compare(), { inSync: true, differences: [] })
})

test('what is in no schema, and was there before a migration, stays different', async (t) => {
  for (const [statement, difference] of [
    ['create publication by_hand for all tables', /^added publication by_hand/],
    ['alter default privileges grant select on tables to public', /^added default privileges of /],
  ] as const) {
    const { pool, migrate, listDrift } = await createRecorded(t, 'select 1')
    await pool.query(statement)
    const before = await listDrift()
    t.match(before, [difference], statement)

    await migrate('select 2')
    t.strictSame(await listDrift(), before, statement)
  }
})

test('a migration that makes nothing but queues is recorded after one that makes nothing', async (t) => {
  const { pool, migrate, compare, listDrift } = await createRecorded(t, 'select 1')
  await migrate(`create extension pgmq; select pgmq.create('orders')`)
  t.match(await compare(), { inSync: true, differences: [] })
  await pool.query(`select pgmq.drop_queue('orders')`)
  t.strictSame(await listDrift(), ['dropped queue orders: '])
})

test('the preparation of the record neither waits for a migration nor leaves anything behind', async (t) => {
  const { pool, open } = await createTestDatabase(t, { from: 'empty' })
  const session = await open('test')
  t.teardown(() => session.end())
  const SETTINGS = `
    select name, setting
      from pg_settings
     where name in ('lock_timeout', 'statement_timeout', 'synchronous_commit')
     order by name`
  await session.query('set synchronous_commit = local')
  const { rows: settings } = await session.query(SETTINGS)
  t.equal(await beginRecording(session), undefined)
  const migration = await pool.connect()
  t.teardown(() => migration.release())
  const RECORDED = `
    select (select jsonb_agg(recorded_schema) from provisioning.recorded_schema),
           (select jsonb_agg(recorded_object) from provisioning.recorded_object)`
  const { rows: before } = await pool.query(RECORDED)

  // The first one is not visible to it yet; the others are.
  for (const statements of [
    'create schema app; create table app.item (id int, other int default 1)',
    'alter table app.item add check (id > 0); lock table app.item',
    'create view app.items as select * from app.item; alter schema app rename to renamed',
  ]) {
    await migration.query(`begin; ${statements}`)
    await t.resolves(prepareFinish(session), statements)
    const { rows } = await pool.query(
      `select state,
              array(select locktype from pg_locks where pg_locks.pid = pg_stat_activity.pid) as locks
         from pg_stat_activity
        where pid = $1`,
      [session.backendPid],
    )
    t.strictSame(rows, [{ state: 'idle', locks: [] }])
    await migration.query('commit')
  }
  t.strictSame((await pool.query(RECORDED)).rows, before)
  t.strictSame((await session.query(SETTINGS)).rows, settings)
})
