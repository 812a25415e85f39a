import { test } from 'tap'
import { connect, createResetWorld } from './world.ts'

const SCHEMA = `
  create schema app;
  create table app.log (line text);
  create table app.seeded (line text);
  create table app.keyed (id int primary key);
  create table app.named (name text unique);
  create table app.of_named (name text references app.named (name));
  create table app.nothing (id int primary key);
  alter table app.nothing replica identity nothing;
  create table app.part (at int) partition by range (at);
  create table app.part_1 partition of app.part for values from (0) to (10);
  insert into app.seeded values ('seed');`

const DIRT = `
  insert into app.log values ('dirt');
  insert into app.seeded values ('dirt');
  insert into app.keyed values (1);
  insert into app.named values ('dirt');
  insert into app.of_named values ('dirt');
  insert into app.nothing values (1);
  insert into app.part values (1)`

test('tables in which a publication forbids deletes are truncated', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.pool.query(DIRT)
  // Before the first reset, and after it.
  await world.pool.query('create publication ours for table app.log, app.part')
  await world.reset()
  await world.pool.query('create publication everything for all tables')
  await world.pool.query(DIRT)

  const { result } = await world.reset()

  t.same(result.tables, {
    emptied: ['app.keyed', 'app.log', 'app.named', 'app.nothing', 'app.of_named', 'app.part'],
    restored: ['app.seeded'],
  })
  const { rows } = await world.pool.query(
    `select (select count(*)::int from app.log) + (select count(*)::int from app.named)
            + (select count(*)::int from app.part) as left, (select string_agg(line, ' ') from app.seeded) as seed`,
  )
  t.same(rows, [{ left: 0, seed: 'seed' }])
  t.same((await world.reset()).result.tables, { emptied: [], restored: [] })
})

test('a publication of a schema, and one with a row filter, forbid deletes as well', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.pool.query(`create publication one for tables in schema app`)
  await world.pool.query(DIRT)
  await world.reset()
  await world.pool.query(`
    drop publication one;
    create schema other;
    drop schema other;
    create publication filtered for table app.keyed where (id > 0), app.log where (line > '')`)
  await world.pool.query(DIRT)

  const { result } = await world.reset()

  t.match(result.tables.emptied, ['app.keyed', 'app.log'])
})

test('a reader of a table that has to be truncated is named', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.pool.query('create publication everything for all tables')
  await world.pool.query(DIRT)
  const reader = await connect(world.url)
  await reader.query(`set application_name = 'reader'; begin; select from app.log`)

  await t.rejects(world.reset({ lockTimeoutMs: 50 }), {
    code: 'locked',
    extensions: { blockers: [{ application: 'reader' }] },
  })
  await reader.query('rollback')
  t.match((await world.reset()).result.tables, { restored: ['app.seeded'] })
  await reader.end()
})

test('a queue that was created since is dropped although the list of queues is published', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  await world.pool.query(
    `create publication everything for all tables; select pgmq.create('since')`,
  )

  const { result } = await world.reset()

  t.same(result.queues.dropped, ['since'])
  t.equal((await world.pool.query(`select from pgmq.meta where queue_name = 'since'`)).rowCount, 0)
  t.same((await world.reset()).result.queues, { emptied: [], dropped: [] })
})
