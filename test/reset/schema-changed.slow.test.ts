import { type Test, test } from 'tap'
import { createTestRole } from '../support/roles.ts'
import { waitUntilBlocked } from '../support/sessions.ts'
import { connect, createResetWorld, readPid } from './world.ts'

/** Changes of the schema: the object that is reported, the statement, and another that undoes it. */
const CHANGES: readonly (readonly [name: string, change: string, undo: string])[] = [
  ['table app.extra', 'create table app.extra ()', 'drop table app.extra'],
  ['table public.extra', 'create table public.extra ()', 'drop table public.extra'],
  ['schema extra', 'create schema extra', 'drop schema extra'],
  [
    'column app.things.extra',
    'alter table app.things add extra int',
    'drop table app.things; create table app.things (number int, label text); create unique index things_n on app.things (number)',
  ],
  [
    'column app.things.label',
    'alter table app.things alter label set not null',
    'alter table app.things alter label drop not null',
  ],
  [
    'column app.things.label',
    `alter table app.things alter label set default ''`,
    'alter table app.things alter label drop default',
  ],
  [
    'constraint app.things.small',
    'alter table app.things add constraint small check (number < 9)',
    'alter table app.things drop constraint small',
  ],
  ['index app.extra', 'create index extra on app.things (label)', 'drop index app.extra'],
  [
    'index app.things_n',
    'drop index app.things_n',
    'create unique index things_n on app.things (number)',
  ],
  ['sequence app.extra', 'create sequence app.extra', 'drop sequence app.extra'],
  [
    'sequence app.numbers',
    'alter sequence app.numbers increment 3',
    'alter sequence app.numbers increment 1',
  ],
  [
    'sequence app.numbers',
    'alter sequence app.numbers cache 5',
    'alter sequence app.numbers cache 1',
  ],
  [
    'view app.labels',
    `create or replace view app.labels as select label || '' as label from app.things`,
    'create or replace view app.labels as select label from app.things',
  ],
  [
    'view app.labels',
    'drop view app.labels',
    'create view app.labels as select label from app.things',
  ],
  [
    'function app.one()',
    'create or replace function app.one() returns int language sql as $$ select 2 $$',
    'create or replace function app.one() returns int language sql as $$ select 1 $$',
  ],
  [
    'trigger app.things.extra',
    'create trigger extra before insert on app.things for each row execute function app.keep()',
    'drop trigger extra on app.things',
  ],
  [
    'trigger app.watched.keep',
    'alter table app.watched disable trigger keep',
    'alter table app.watched enable trigger keep',
  ],
  [
    'table app.things',
    'alter table app.things enable row level security',
    'alter table app.things disable row level security',
  ],
  [
    'type app.mood',
    `alter type app.mood rename value 'ok' to 'fine'`,
    `alter type app.mood rename value 'fine' to 'ok'`,
  ],
  [
    'type app.pair',
    'alter type app.pair rename attribute first to other',
    'alter type app.pair rename attribute other to first',
  ],
  [
    'type app.positive',
    'alter domain app.positive add constraint small check (value < 9)',
    'alter domain app.positive drop constraint small',
  ],
  [
    'view app.labels',
    'alter view app.labels rename column label to other',
    'alter view app.labels rename column other to label',
  ],
  [
    'column app.part_one.amount',
    'alter table only app.part_one alter amount set default 7',
    'alter table only app.part_one alter amount drop default',
  ],
  [
    'index app.things_n',
    'alter index app.things_n rename to other',
    'alter index app.other rename to things_n',
  ],
  [
    'constraint app.parts.parts_pkey',
    'alter index app.parts_pkey rename to other',
    'alter index app.other rename to parts_pkey',
  ],
  [
    'sequence app.numbers',
    'alter sequence app.numbers rename to other',
    'alter sequence app.other rename to numbers',
  ],
  [
    'policy app.watched.nobody',
    'create policy nobody on app.watched using (false)',
    'drop policy nobody on app.watched',
  ],
  [
    'rule app.watched.nothing',
    'create rule nothing as on update to app.watched do instead nothing',
    'drop rule nothing on app.watched',
  ],
  [
    'materialized view app.counted',
    'alter materialized view app.counted rename column count to other',
    'alter materialized view app.counted rename column other to count',
  ],
  [
    'constraint app.orders.orders_thing_fkey',
    'alter table app.orders disable trigger all',
    'alter table app.orders enable trigger all',
  ],
  ['queue work', `select pgmq.drop_queue('work')`, `select pgmq.create('work')`],
]

const SCHEMA = `
  create extension if not exists pgmq;
  select pgmq.create('work');
  create schema app;
  create table app.things (number int, label text);
  create unique index things_n on app.things (number);
  create table app.watched (number int);
  create sequence app.numbers;
  create view app.labels as select label from app.things;
  create type app.mood as enum ('ok');
  create table app.ordered (number int primary key);
  create table app.orders (thing int references app.ordered);
  create type app.pair as (first int, second int);
  create domain app.positive as int check (value > 0);
  create table app.parts (number int primary key, amount int) partition by range (number);
  create table app.part_one partition of app.parts for values from (1) to (9);
  create materialized view app.counted as select count(*) from app.parts;
  create function app.one() returns int language sql as $$ select 1 $$;
  create function app.keep() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger keep before insert on app.watched for each row execute function app.keep();`

test('a changed schema is reported by object, and a reset works again once it is restored', async (t: Test) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.reset()

  for (const [name, change, undo] of CHANGES) {
    await world.pool.query('insert into app.watched values (1)')
    // The table cannot be dropped while the view exists.
    const needsViewDropped = undo.startsWith('drop table app.things')
    await world.pool.query(change)

    const error = await world.reset().catch((cause) => cause)

    t.match(error, { code: 'schema_changed', statusCode: 409 }, change)
    const names = (error.extensions?.differences ?? []).map(
      (one: { kind: string; name: string }) => `${one.kind} ${one.name}`,
    )
    t.ok(names.includes(name), `${change}: ${names}`)
    t.equal((await world.pool.query('select from app.watched')).rowCount, 1, 'no row was changed')

    if (needsViewDropped) await world.pool.query('drop view app.labels')
    await world.pool.query(undo)
    if (needsViewDropped)
      await world.pool.query('create view app.labels as select label from app.things')
    await world.reset()
    t.equal((await world.pool.query('select from app.watched')).rowCount, 0)
  }
})

// Replanning stands in for the fingerprint of the parts, unless the schema has a composite type.
test('changes are detected in a schema without composite types, too', async (t: Test) => {
  const schema = SCHEMA.replace(/create type app.pair.*\n/, '')
  const world = await createResetWorld(t, { from: 'empty', schema })

  for (const [name, change, undo] of CHANGES) {
    if (name === 'type app.pair' || undo.startsWith('drop table')) continue
    await world.reset()
    await world.reset()
    await world.pool.query(change)

    await t.rejects(world.reset(), { code: 'schema_changed' }, change)

    await world.pool.query(undo)
  }
})

test('dropped and renamed schemas are detected', async (t: Test) => {
  for (const change of [
    'drop schema app cascade',
    'alter schema app rename to other',
    'drop table app.things cascade; create table app.things (number int)',
    'drop schema public cascade',
  ]) {
    const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
    await world.reset()
    await world.pool.query(change)

    for (const time of ['first', 'second']) {
      await t.rejects(world.reset(), { code: 'schema_changed' }, `${change}, the ${time} time`)
    }
  }
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.reset()
  await world.pool.query('drop schema provisioning cascade')
  await t.rejects(world.reset(), { code: 'database_not_disposable' })
})

test('an index that became invalid has changed', async (t: Test) => {
  for (const schema of [SCHEMA, SCHEMA.replace(/create type app.pair.*\n/, '')]) {
    const world = await createResetWorld(t, { from: 'empty', schema })
    await world.reset()
    await world.reset()
    const [reader, dropper] = [await connect(world.url), await connect(world.url)]
    t.teardown(() => Promise.all([reader.end(), dropper.end()]))
    // A concurrent drop that is canceled while it waits for a reader leaves the index invalid.
    await reader.query('begin; select from app.things')
    const pid = await readPid(dropper)
    const drop = t.rejects(dropper.query('drop index concurrently app.things_n'), { code: '57014' })
    await waitUntilBlocked(world.pool, 'drop index')
    await world.pool.query('select pg_cancel_backend($1)', [pid])
    await drop
    await reader.query('commit')

    const error = await world.reset().catch((cause) => cause)

    t.match(error, { code: 'schema_changed' })
    t.same(error.extensions.differences, [
      { change: 'changed', kind: 'index', name: 'app.things_n' },
    ])
  }
})

test('a table that was added is reported once, not once for each of its columns', async (t: Test) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.pool.query(
    'create table app.wide (first int not null, second int check (second > 0), third int unique)',
  )

  const error = await world.reset().catch((cause) => cause)

  const names = error.extensions.differences.map((one: { name: string }) => one.name)
  t.same(names, ['app.wide', 'app.wide_third_key'])
})

test('a table of another role that no migration made is an added one, not a forbidden one', async (t: Test) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA, asOwner: true })
  await world.pool.query('create table public.stray (number int primary key)')

  await t.rejects(world.reset(), { code: 'schema_changed' })
})

test('an object with another owner has changed', async (t: Test) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  const role = await createTestRole(t, 'nologin')
  for (const object of ['table app.things', 'function app.one()', 'type app.mood', 'schema app']) {
    await world.reset()
    await world.pool.query(`alter ${object} owner to ${role}`)

    const error = await world.reset().catch((cause) => cause)

    t.match(error, { code: 'schema_changed' }, object)
    t.ok(error.message.includes(object), error.message)
    await world.pool.query(`reassign owned by ${role} to current_user`)
  }
})

test('a reset accepts statements that leave the schema as it was', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.reset()
  const harmless = [
    'vacuum full app.things',
    'analyze',
    'truncate app.things',
    'reindex table app.things',
    'grant select on app.things to public',
    `comment on table app.things is 'things'`,
    'alter table app.things rename label to other; alter table app.things rename other to label',
    'drop table app.watched; create table app.watched (number int); create trigger keep before insert on app.watched for each row execute function app.keep(); insert into app.watched values (1)',
  ]

  for (const statement of harmless) {
    for (const part of statement.split('; ')) await world.pool.query(part)
    await world.reset()
  }

  t.equal((await world.pool.query('select from app.watched')).rowCount, 0)
})

test('a migration that another program applied makes the baseline invalid', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.reset()
  await world.pool.query(
    `insert into graphile_migrate.migrations (hash, filename) values ('sha1:2', '000002.sql')`,
  )

  const error = await world.reset().catch((cause) => cause)

  t.match(error, { code: 'no_baseline', statusCode: 409 })
})
