import { type Test, test } from 'tap'
import { waitUntilBlocked } from '../support/sessions.ts'
import { connect, createResetWorld } from './world.ts'

const SCHEMA = `
  create schema app;
  create table app.kind (id int primary key);
  create table app.event (
    id    int,
    at    int,
    kind  int references app.kind,
    primary key (id, at)
  ) partition by range (at);
  create table app.event_1 partition of app.event for values from (0) to (10);
  create table app.event_rest partition of app.event default;
  create table app.note (event int, at int, foreign key (event, at) references app.event);
  insert into app.kind values (1);
  insert into app.event values (1, 5, 1), (2, 55, 1);`

const createWorld = (t: Test, asOwner = true) =>
  createResetWorld(t, { from: 'empty', schema: SCHEMA, asOwner })

test('partitions made since are dropped with their rows, and those of the baseline stay', async (t) => {
  const world = await createWorld(t)
  const rows = async () =>
    (
      await world.pool.query(
        'select tableoid::regclass::text as part, id from app.event order by id',
      )
    ).rows
  const before = await rows()
  await world.ownerPool.query(`
    create table app.event_2 partition of app.event for values from (10) to (20);
    create table app.event_3 partition of app.event for values from (20) to (40) partition by list (id);
    create table app.event_3a partition of app.event_3 for values in (7);
    create table app.event_3b partition of app.event_3 default;
    insert into app.event values (3, 11, 1), (7, 30, 1), (8, 30, null);
    insert into app.note values (3, 11), (7, 30)`)

  const { result } = await world.reset()

  t.same(result.partitions.dropped, ['app.event_2', 'app.event_3', 'app.event_3a', 'app.event_3b'])
  t.same(result.tables, { emptied: ['app.note'], restored: ['app.event'] })
  t.same(await rows(), before)
  const { rows: left } = await world.pool.query(
    `select relname from pg_class where relispartition and relkind in ('r', 'p') order by 1`,
  )
  t.same(left, [{ relname: 'event_1' }, { relname: 'event_rest' }])
  t.same((await world.reset()).result.partitions.dropped, [])
})

test('an empty partition is dropped, also a partition of a partition of the baseline', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create schema app;
             create table app.event (at int, id int) partition by range (at);
             create table app.event_1 partition of app.event for values from (0) to (10)
               partition by list (id)`,
  })
  await world.pool.query('create table app.event_1a partition of app.event_1 for values in (1)')

  const { result } = await world.reset()

  t.same(result.partitions.dropped, ['app.event_1a'])
  t.same(result.tables, { emptied: [], restored: [] })
})

test('rows that moved from the default partition to a new one are back in the default partition', async (t) => {
  const world = await createWorld(t)
  await world.ownerPool.query(`
    delete from app.event where at = 55;
    create table app.event_6 partition of app.event for values from (50) to (60);
    insert into app.event values (2, 55, 1)`)

  await world.reset()

  const { rows } = await world.pool.query('select id from app.event_rest')
  t.same(rows, [{ id: 2 }])
})

test('a partition with an identity of its own, with triggers and an index, is dropped', async (t) => {
  const world = await createWorld(t)
  await world.ownerPool.query(`
    create table app.own (id serial, at int not null, kind int, primary key (id, at));
    create index on app.own (kind);
    insert into app.own (at) values (45);
    create function pg_temp.f() returns trigger language plpgsql as 'begin raise exception $$fired$$; end';
    alter table app.event attach partition app.own for values from (40) to (50)`)
  await world.pool.query(
    `create trigger no_delete before delete on app.own for each row
       execute function suppress_redundant_updates_trigger()`,
  )

  const { result } = await world.reset()

  t.same(result.partitions.dropped, ['app.own'])
})

test('a partition that was detached is a table made since, and a partition taken away is missed', async (t) => {
  const world = await createWorld(t)
  await world.ownerPool.query(`
    create table app.event_2 partition of app.event for values from (10) to (20);
    alter table app.event detach partition app.event_2`)
  await t.rejects(world.reset(), {
    code: 'schema_changed',
    extensions: { differences: [{ change: 'added', kind: 'table', name: 'app.event_2' }] },
  })
  await world.ownerPool.query(`
    drop table app.event_2;
    delete from app.event where at = 55;
    alter table app.event detach partition app.event_rest;
    drop table app.event_rest`)
  await t.rejects(world.reset(), {
    code: 'schema_changed',
    extensions: { differences: [{ change: 'taken away', kind: 'table', name: 'app.event_rest' }] },
  })
})

test('a view on a new partition is a change of the schema', async (t) => {
  const world = await createWorld(t)
  await world.ownerPool.query(`
    create table app.event_2 partition of app.event for values from (10) to (20);
    create view app.seen as select * from app.event_2`)

  await t.rejects(world.reset(), { code: 'schema_changed' })

  t.equal((await world.pool.query('select from app.event_2')).rowCount, 0, 'it is still there')
})

test('a writer to a new partition is waited for, and leaves nothing behind', async (t) => {
  const world = await createWorld(t, false)
  await world.ownerPool.query(
    'create table app.event_2 partition of app.event for values from (10) to (20)',
  )
  const writer = await connect(world.url)
  await writer.query('begin; insert into app.event_2 values (3, 11, 1)')

  const resetting = world.reset({ lockTimeoutMs: 10_000 })
  await waitUntilBlocked(world.pool, 'reset_data')
  await writer.query('commit')
  const { result } = await resetting

  t.same(result.partitions.dropped, ['app.event_2'])
  t.equal((await world.pool.query('select from app.event')).rowCount, 2)
  await writer.end()
})

test('a reader of the partitioned table, or of a table that it refers to, is named', async (t) => {
  const world = await createWorld(t, false)
  await world.ownerPool.query(
    'create table app.event_2 partition of app.event for values from (10) to (20)',
  )
  for (const table of ['app.event', 'app.kind', 'app.note']) {
    const reader = await connect(world.url)
    await reader.query(`set application_name = 'reader'; begin; select from ${table}`)
    await t.rejects(world.reset({ lockTimeoutMs: 50 }), {
      code: 'locked',
      extensions: { blockers: [{ application: 'reader' }] },
    })
    await reader.end()
  }
  t.same((await world.reset()).result.partitions.dropped, ['app.event_2'])
})

test('a start sees that a database with a new partition is not at its baseline', async (t) => {
  const world = await createWorld(t)
  const session = await world.sessions.open()
  t.equal(await session.isClean(), true)
  await world.ownerPool.query(
    'create table app.event_2 partition of app.event for values from (10) to (20)',
  )

  t.equal(await session.isClean(), false)
  t.equal((await world.pool.query('select from app.event_2')).rowCount, 0, 'it is still there')
})
