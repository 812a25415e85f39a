import { test } from 'tap'
import {
  type Definition,
  definitionsFingerprintSql,
  definitionsSql,
} from '../../src/catalog/definitions/definitions.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'

/** Every kind of object, in a schema of its own. */
const SCHEMA = `
  create schema app;
  create domain app.code as text default 'x' check (value <> '');
  create type app.mood as enum ('good', 'bad');
  create type app.pair as (one int, two text);
  create type app.span as range (subtype = int);
  create table app.parent (id int generated always as identity primary key, "na me" text collate "C" not null,
    twice int generated always as (2) stored, constraint is_named check ("na me" <> ''));
  create table app.child (parent_id int references app.parent deferrable, amount numeric(10, 2) default 0);
  create index child_amount on app.child (amount desc) where amount > 0;
  create table app.log (at date not null) partition by range (at);
  create table app.log_2026 partition of app.log for values from ('2026-01-01') to ('2027-01-01');
  create view app.names as select "na me" from app.parent;
  create materialized view app.amounts as select sum(amount) from app.child;
  create sequence app.numbers cache 5;
  create function app.add(int, int default 1) returns int language sql as 'select $1 + $2';
  create procedure app.run() language plpgsql set work_mem = '8MB' as 'begin end';
  create aggregate app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
  create function app.tg() returns trigger language plpgsql as 'begin return new; end';
  create trigger touch before update on app.parent for each row execute function app.tg();
  create rule keep as on delete to app.child do instead nothing;
  create policy own on app.child for select using (amount > 0);
  alter table app.child enable row level security;
  create statistics app.stats on parent_id, amount from app.child;
  create publication news for table app.child;
  grant select on app.parent to $ROLE with grant option;
  grant update ("na me") on app.parent to $ROLE;
  alter default privileges in schema app grant select on tables to $ROLE;
  revoke execute on function app.add(int, int) from public`

test('the definitions name every object with what defines it', async (t) => {
  const role = await createTestRole(t)
  const { open, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(SCHEMA.replaceAll('$ROLE', role))
  const session = await open('test')
  t.teardown(() => session.end())
  const { rows } = await session.query<Definition>(definitionsSql({ schemas: `'{app}'` }))
  const owner = 'postgres'
  const aspectsOf = (kind: string, name: string) =>
    rows.find((row) => row.kind === kind && row.name === name)?.aspects

  t.strictSame(rows.map(({ kind, name }) => `${kind} ${name}`).sort(), [
    'aggregate app.total(integer)',
    'column app.amounts.sum',
    'column app.child.amount',
    'column app.child.parent_id',
    'column app.log.at',
    'column app.names."na me"',
    'column app.pair.one',
    'column app.pair.two',
    'column app.parent."na me"',
    'column app.parent.id',
    'column app.parent.twice',
    'constraint app.child.child_parent_id_fkey',
    'constraint app.parent.is_named',
    'constraint app.parent.parent_pkey',
    `default privileges of ${owner} on tables in app`,
    'function app.add(integer, integer)',
    'function app.tg()',
    'index app.child_amount',
    'materialized view app.amounts',
    'partition app.log_2026',
    'policy app.child.own',
    'procedure app.run()',
    'publication news',
    'rule app.child.keep',
    'schema app',
    'sequence app.numbers',
    'sequence app.parent_id_seq',
    'statistics app.stats',
    'table app.child',
    'table app.log',
    'table app.parent',
    'trigger app.parent.touch',
    'type app.code',
    'type app.mood',
    'type app.pair',
    'type app.span',
    'view app.names',
  ])
  t.strictSame(aspectsOf('column', 'app.parent."na me"'), {
    definition: 'text collate "C" not null',
    [`privileges of ${role}`]: 'update',
  })
  t.match(aspectsOf('table', 'app.parent'), {
    owner,
    columns: 'id, "na me", twice',
    [`privileges of ${role}`]: 'select*',
  })
  t.match(aspectsOf('table', 'app.child'), { 'row security': 'enabled' })
  t.strictSame(aspectsOf('sequence', 'app.parent_id_seq'), {
    owner,
    definition: 'integer start 1 increment 1 minimum 1 maximum 2147483647 cache 1',
    'owned by': 'app.parent.id',
  })
  t.strictSame(aspectsOf('type', 'app.mood'), {
    owner,
    definition: 'enum',
    labels: `'good', 'bad'`,
    'privileges of PUBLIC': 'usage',
  })
  t.notHas(aspectsOf('function', 'app.add(integer, integer)'), { 'privileges of PUBLIC': String })
  t.match(aspectsOf('publication', 'news'), { tables: 'app.child' })
  t.equal(rows.find(({ name }) => name === 'app.parent.is_named')?.parent, 'app.parent')

  await pool.query(`drop owned by ${role}`)
})

test('the fingerprint depends on definitions alone', async (t) => {
  const role = await createTestRole(t)
  const [one, other] = await Promise.all([
    createTestDatabase(t, { from: 'empty' }),
    createTestDatabase(t, { from: 'empty' }),
  ])
  const sessions = await Promise.all([one.open('test'), other.open('test')])
  t.teardown(async () => {
    for (const session of sessions) await session.end()
  })
  // Other oids, other positions of dropped columns, other rows and statistics.
  await other.pool.query('create table public.before (id serial); drop table public.before')
  for (const { pool } of [one, other]) await pool.query(SCHEMA.replaceAll('$ROLE', role))
  await other.pool.query(
    `alter table app.child add column note text; alter table app.child drop column note;
     insert into app.parent ("na me") values ('a'), ('b'); update app.parent set "na me" = 'c'`,
  )
  await other.pool.query('vacuum full analyze app.parent')

  const fingerprintsOf = (roles?: string) =>
    Promise.all(
      sessions.map(async (session) => {
        const { rows } = await session.query(
          definitionsFingerprintSql({ schemas: `'{app}'`, ...(roles !== undefined && { roles }) }),
        )
        return rows[0].fingerprint
      }),
    )

  const [first, second] = await fingerprintsOf()
  t.match(first, /^-?\d+$/)
  t.equal(first, second)

  await other.pool.query('grant delete on app.parent to pg_monitor')
  const [unchanged, granted] = await fingerprintsOf()
  t.equal(unchanged, first)
  t.not(granted, first, 'a grant counts')
  const [a, b] = await fingerprintsOf(`array['PUBLIC', '${role}']`)
  t.equal(a, b, 'unless only other roles are asked for')

  for (const { pool } of [one, other]) await pool.query(`drop owned by ${role}`)
})
