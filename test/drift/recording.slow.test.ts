import { test } from 'tap'
import { beginRecording, ensureRecorder, finishRecording } from '../../src/baseline/recorder.ts'
import { RECORD_FORMAT } from '../../src/baseline/recorder-script.ts'
import { compareWithRecord } from '../../src/drift/compare.ts'
import { prepareRecorder } from '../../src/drift/prepare.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { createRecorded } from './recorded.ts'

const SCHEMA = `
  create extension pgmq;
  create schema app;
  create table app.item (id serial primary key, name text);
  create table app.log (at date primary key) partition by range (at);
  create table app.log_2025 partition of app.log for values from ('2025-01-01') to ('2026-01-01');
  create table app.entry (at date references app.log (at));
  create function app.one() returns int language sql as 'select 1';
  select pgmq.create('orders')`

test('what is not drift', async (t) => {
  const role = await createTestRole(t)
  const { pool, compare, listDrift } = await createRecorded(t, SCHEMA)
  t.match(await compare(), { inSync: true, differences: [] })

  for (const statement of [
    `insert into app.item (name) values ('a'), ('b')`,
    'truncate app.item restart identity',
    'analyze',
    'vacuum full app.item',
    'reindex table app.item',
    `select pgmq.create('since')`,
    `select pgmq.drop_queue('since')`,
    `select pgmq.send('orders', '{}')`,
    `create table app.log_2026 partition of app.log for values from ('2026-01-01') to ('2027-01-01')`,
    `create table app.log_rest partition of app.log default`,
    'create index on app.log_2026 (at)',
    `grant usage on schema app to ${role}`,
    `grant select on all tables in schema app to ${role}`,
    `alter default privileges in schema app grant all on functions to ${role}`.replace(
      'execute',
      'all',
    ),
    'create schema other',
    'create table other.thing (id int)',
    'create table public.thing (id int)',
    'create temporary table item (id int)',
  ]) {
    await pool.query(statement)
    t.strictSame(await listDrift(), [], statement)
  }

  await pool.query(`select pgmq.drop_queue('orders')`)
  t.strictSame(await listDrift(), ['dropped queue orders: '])
  await pool.query(`drop owned by ${role}`)
})

test('what PostgreSQL keeps for itself among the options of a column is not drift', async (t) => {
  const { pool, listDrift } = await createRecorded(t, SCHEMA)
  // As Debian's PostgreSQL 17.12 writes it with each column, and another value where the table is made again.
  const setOptions = async (options: string) => {
    const client = await pool.connect()
    try {
      await client.query('set allow_system_table_mods = on')
      await client.query(
        `update pg_attribute set attoptions = $1 where attrelid = 'app.item'::regclass and attname = 'name'`,
        [options],
      )
    } finally {
      client.release(true)
    }
  }
  await setOptions('{pg_attver=230316408}')
  t.strictSame(await listDrift(), [])

  await setOptions('{pg_attver=238018064,n_distinct=5}')
  t.match(await listDrift(), [/^changed column app.item.name: .*options {n_distinct=5}/])
})

test('differences from before a migration stay, unless the migration changes that very thing', async (t) => {
  const { pool, migrate, listDrift, compare } = await createRecorded(t, SCHEMA)
  await pool.query(`
    create function app.by_hand() returns int language sql as 'select 1';
    create or replace function app.one() returns int language sql as 'select 2';
    create table app.extra (id int);
    alter table app.item add column note text;
    drop table app.entry;
    grant select on app.item to public`)
  const before = await listDrift()
  t.strictSame(
    before.map((line) => line.replace(/:.*/, '')),
    [
      'added function app.by_hand()',
      'dropped table app.entry',
      'added table app.extra',
      'changed table app.item',
      'added column app.item.note',
      'changed function app.one()',
    ],
  )

  await migrate(`
    create table app.second (id int primary key);
    alter table app.item add column price int;
    create table if not exists app.extra (id int)`)
  t.strictSame(
    await listDrift(),
    before,
    'nothing is absorbed, and what the migration made is no drift',
  )

  await migrate(`
    create or replace function app.one() returns int language sql as 'select 3';
    create table app.entry (at date);
    alter table app.item drop column note;
    drop table app.extra;
    drop function app.by_hand()`)
  t.strictSame(await listDrift(), [
    'changed table app.item: privileges of PUBLIC: select, was none',
  ])
  t.match(await compare(), { inSync: false })

  await pool.query('revoke select on app.item from public')
  t.match(await compare(), { inSync: true })
  await migrate('drop schema app cascade')
  t.match(await compare(), { inSync: true })
})

test('a migration that is interrupted after others is recorded by the start that finishes it', async (t) => {
  const { pool, session, migrate, listDrift } = await createRecorded(t, SCHEMA)
  await pool.query('create table app.by_hand (id int)')
  await beginRecording(session)
  await pool.query(
    `create table app.second (id int); insert into graphile_migrate.migrations values ('000001b.sql', 'b')`,
  )
  t.match(await compareWithRecord(session).catch((error) => error), {
    message: 'migrations are running, or the last run of them has failed',
  })

  await t.test('a start with more to apply', async () => {
    await migrate('create table app.third (id int)')
    t.strictSame(await listDrift(), ['added table app.by_hand: columns id'])
  })

  await t.test('a start with nothing left to apply', async () => {
    await beginRecording(session)
    await pool.query(
      `create table app.fourth (id int); insert into graphile_migrate.migrations values ('000003b.sql', 'd')`,
    )
    await prepareRecorder(session)
    t.strictSame(await listDrift(), ['added table app.by_hand: columns id'])
  })

  await t.test('a migration that failed changed nothing', async () => {
    await beginRecording(session)
    await pool.query('create table app.more_by_hand (id int)')
    await prepareRecorder(session)
    await migrate('create table app.fifth (id int)')
    t.strictSame(await listDrift(), [
      'added table app.by_hand: columns id',
      'added table app.more_by_hand: columns id',
    ])
  })
})

test('only what is in the schemas that the migrations made is recorded', async (t) => {
  const { open, pool } = await createTestDatabase(t, { from: 'empty' })
  const session = await open('test')
  t.teardown(() => session.end())
  await pool.query('create schema application; create table application.old (id int)')
  await pool.query('create schema adopted; create table adopted.old (id int)')
  await beginRecording(session)
  await pool.query('create schema app; create table adopted.item (id int)')
  await finishRecording(session)

  await pool.query('drop table application.old; drop table adopted.old; create schema more')
  const { differences } = await compareWithRecord(session)
  t.match(differences, [{ change: 'dropped', kind: 'table', name: 'adopted.old' }])
  t.equal(differences.length, 1)
})

test('record_schema() takes the schema as it is for right', async (t) => {
  const { open, pool } = await createTestDatabase(t, { from: 'empty' })
  const session = await open('test')
  t.teardown(() => session.end())
  await pool.query('create schema app; create table app.item (id int)')
  t.match(await compareWithRecord(session), {
    inSync: null,
    reason: /no schema was recorded.*record_schema\(\)/,
  })
  t.equal(await ensureRecorder(session), undefined)
  t.match(await compareWithRecord(session), { inSync: null, reason: /no schema was recorded/ })

  const { rows } = await pool.query('select provisioning.record_schema() as schemas')
  t.strictSame(rows[0].schemas, ['app'])
  t.match(await compareWithRecord(session), { inSync: true })
  await pool.query('create schema other; drop table app.item')
  t.match(await compareWithRecord(session), { differences: [{ name: 'app.item' }] })

  await pool.query('select provisioning.record_schema()')
  t.match(await compareWithRecord(session), { inSync: true }, 'of the same schemas')
  await pool.query(`select provisioning.record_schema('{app, other}')`)
  await pool.query('create table other.item (id int)')
  t.match(await compareWithRecord(session), { differences: [{ name: 'other.item' }] })
})

test('it is null, with a reason, where it cannot be known', async (t) => {
  const role = await createTestRole(t)
  const { pool, session } = await createRecorded(t, SCHEMA)
  const record = 'update provisioning.recorded_schema set'
  for (const [statements, reason] of [
    [`${record} server_major = 12`, /recorded on PostgreSQL 12, and this is \d+/],
    [`${record} format = 0`, /recorded by another version of the service/],
    [
      `insert into graphile_migrate.migrations values ('000009.sql', 'x')`,
      /the history changed without this service/,
    ],
    [
      `insert into graphile_migrate.current values ('current.sql', 'select 1', now())`,
      /current.sql was applied by another program/,
    ],
    [`set role ${role}`, /may not read the recorded schema: grant it usage/],
    [
      'drop schema provisioning cascade; create schema provisioning; create view provisioning.record_format as select 1',
      /no schema was recorded/,
    ],
  ] as const) {
    await session.query(`begin; ${statements}`)
    t.match(await compareWithRecord(session), { inSync: null, reason, differences: [] })
    await session.query('rollback')
  }

  // As an earlier version left it.
  await pool.query(`
    drop function provisioning.read_definitions(text[], text[], text[]);
    create or replace view provisioning.record_format as select ${RECORD_FORMAT - 1} as format`)
  t.match(await compareWithRecord(session), { inSync: null, reason: /another version/ })
  t.equal(await prepareRecorder(session), undefined)
  t.match(await compareWithRecord(session), { inSync: true }, 'its functions were replaced')

  await session.query(`insert into graphile_migrate.current values ('current.sql', ' ', now())`)
  t.match(
    await compareWithRecord(session),
    { inSync: true },
    'an empty current.sql changes nothing',
  )

  const other = await createTestDatabase(t, { from: 'empty' })
  const weak = await other.open('test')
  t.teardown(() => weak.end())
  await weak.query(`set role ${role}`)
  t.match(await ensureRecorder(weak), /may not create the schema provisioning: grant it create/)
  await other.pool.query('create schema provisioning; create table provisioning.orders (id int)')
  t.match(await ensureRecorder(session), undefined)
  await weak.query('reset role')
  t.match(await ensureRecorder(weak), /holds objects that this service did not make: table orders/)
  t.match(await compareWithRecord(weak), { inSync: null, reason: /no schema was recorded/ })
  await pool.query(`drop owned by ${role}`)
})

test('a check waits for a lock for 50 ms at most, and then lets those behind it pass', async (t) => {
  const { pool, session, compare } = await createRecorded(t, SCHEMA)
  const altering = await pool.connect()
  t.teardown(() => altering.release())
  await altering.query('begin; alter table app.item add column note text')
  await session.query(`set lock_timeout = 0`)

  await t.rejects(compare(), { code: '55P03' })

  await altering.query('commit')
  t.match(await compare(), { differences: [{ name: 'app.item.note' }] })
  const { rows } = await session.query(
    `select mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'
        and relation = 'app.item'::regclass`,
  )
  t.strictSame(rows, [], 'it keeps no lock')
  t.equal((await session.query('show lock_timeout')).rows[0].lock_timeout, '0')
})
