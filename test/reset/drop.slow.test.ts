import type { Pool } from 'pg'
import { type Test, test } from 'tap'
import { rebuild } from '../../src/reset/rebuild.ts'
import { hasStandIn, loadRealPgmq, standIn } from '../pgmq/implementations.ts'
import { connect, createResetWorld, type ResetWorld, type WorldOptions } from './world.ts'

/** One object of every kind that a plain owner can create in a schema, found along search_path. */
const IN_A_SCHEMA = `
  create type mood as enum ('sad', 'ok');
  create type pair as (a int, b mood);
  create domain positive as int check (value > 0);
  create type span as range (subtype = float8, multirange_type_name = spans);
  create type "Odd ""type""" as range (subtype = int);

  create function plus(a int, b int) returns int language sql immutable return a + b;
  create function "Odd f"(m mood, p positive, variadic rest span[]) returns setof pair
    language sql as 'select 1, null::mood where false';
  create function split(in a spans, out x int, out y int) language sql as 'select 1, 2';
  create procedure done(in a int, out b text) language plpgsql as 'begin b := a; end';
  create procedure done(in a int, in b text) language plpgsql as 'begin end';
  create procedure "Odd p"() language plpgsql as 'begin end';
  create function tg_nothing() returns trigger language plpgsql as 'begin return null; end';
  create aggregate total(int) (sfunc = plus, stype = int);
  create aggregate "Coun ted"(*) (sfunc = int8inc, stype = int8, initcond = '0');
  create operator === (function = plus, leftarg = int, rightarg = int, commutator = ===);
  create function is_ok(m mood) returns bool language sql as 'select true';
  create operator !!! (function = is_ok, rightarg = mood);
  create cast (mood as bool) with function is_ok(mood) as assignment;

  create collation "Odd order" (provider = libc, locale = 'C');
  create conversion "Latin 1" for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
  create text search dictionary "My words" (template = simple);
  create text search configuration "My words" (copy = simple);
  alter text search configuration "My words" alter mapping for word with "My words";

  create sequence "Al one";
  create table parent (
    id    int generated always as identity primary key,
    n     serial unique check (n > 0),
    m     mood default 'ok',
    t     span,
    whole pair,
    word  text collate "Odd order"
  );
  create table child (extra int references parent) inherits (parent);
  create table typed of pair;
  create table "a on language b" (number int);
  create table "Odd ""table""" (at date not null, number int, amount int) partition by range (at);
  create table part_rest partition of "Odd ""table""" default;
  create index on "Odd ""table""" (number);
  create statistics "With each other" on number, amount from part_rest;
  create trigger on_row after insert on "Odd ""table""" for each row execute function tg_nothing();
  create rule keep as on delete to parent do instead nothing;
  create policy see on parent using (true);
  create view seen as select * from parent;
  create view "Seen twice" as select * from seen;
  create materialized view kept as select count(*) from "Seen twice";
  create index on kept (count);`

const BESIDE_SCHEMAS = `
  create publication mine for table public.parent;
  create publication "No tables";
  create server "Else where" foreign data wrapper of_extension;
  create user mapping for public server "Else where";
  create foreign table public.elsewhere (number int) server "Else where";
  select lo_create(0), lo_from_bytea(0, 'text');`

const GUARD = `
  create function public.forbid() returns event_trigger language plpgsql as $$
    begin raise 'not here'; end $$;
  create event trigger "Gu ard" on sql_drop execute function public.forbid()`

/** Objects that only a superuser can create, in schemas and beside them. */
const BY_SUPERUSER = `
  create type public.shell;
  create type public.base;
  create function public.base_in(cstring) returns public.base language internal strict immutable as 'textin';
  create function public.base_out(public.base) returns cstring language internal strict immutable as 'textout';
  create type public.base (input = public.base_in, output = public.base_out, like = text);
  create function public.in_window() returns bigint language internal window as 'window_row_number';
  create aggregate public.middle(float8 order by anyelement)
    (sfunc = ordered_set_transition_multi, stype = internal,
     finalfunc = percentile_disc_final, finalfunc_extra);
  create operator family public."Fam ily" using btree;
  create operator class public."Cla ss" for type int using btree family public."Fam ily"
    as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int, int);
  create operator class public.alone for type int8 using hash as operator 1 =, function 1 hashint8(int8);
  create text search template public."Simp le" (init = dsimple_init, lexize = dsimple_lexize);
  create text search parser public."My words" (
    start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);

  create transform for public.mood language sql (from sql with function prsd_lextype(internal));
  create access method "Other heap" type table handler heap_tableam_handler;
  create language "Other" handler plpgsql_call_handler;
  create cast (int as uuid) with inout;
  create foreign data wrapper nowhere;
  create server "The re" foreign data wrapper nowhere;
  create user mapping for public server "The re";
  create foreign table public.far (number int) server "The re";
  create publication everything for all tables;
  create publication of_a_schema for tables in schema whole;
  create subscription apart connection 'dbname=nowhere' publication mine
    with (connect = false, slot_name = none);
  ${GUARD}`

const SCHEMAS = ['public', 'whole', '"Odd ""schema"']
const EVERYTHING = `
  create schema graphile_migrate;
  create table graphile_migrate.migrations ();
  create schema whole;
  ${SCHEMAS.map((name) => `set search_path = ${name};${IN_A_SCHEMA}`).join('\n')}
  reset search_path;
  ${BESIDE_SCHEMAS}`

/** Created by a superuser: members of an extension, in schemas that hold other objects as well. */
const MEMBERS = `
  create schema "Odd ""schema";
  create schema of_extension;
  grant all on schema "Odd ""schema", of_extension to public;
  create type public.needed as enum ('a');
  create table public.member (id serial primary key, n public.needed);
  create view "Odd ""schema".member as select * from public.member;
  create function public.member(public.needed) returns int language sql as 'select 1';
  create foreign data wrapper of_extension;
  grant usage on foreign data wrapper of_extension to public;
  alter extension plpgsql add foreign data wrapper of_extension;
  alter extension plpgsql add schema of_extension;
  alter extension plpgsql add table public.member;
  alter extension plpgsql add view "Odd ""schema".member;
  alter extension plpgsql add function public.member(public.needed);`

test('everything that a plain owner can create is dropped, and nothing else', async (t) => {
  const { world, dropEverything } = await createWorld(t, { asOwner: true })
  const before = await listCatalogued(world.pool)
  await world.ownerPool.query(`${EVERYTHING}; create table of_extension.things (number int)`)

  await dropEverything()

  t.same(await listCatalogued(world.pool), before)
})

test('objects of every kind that a superuser can create are dropped', async (t) => {
  const { world, dropEverything } = await createWorld(t)
  const before = await listCatalogued(world.pool)
  await world.pool.query(`${EVERYTHING}; ${BY_SUPERUSER}`)
  const made = without(await listCatalogued(world.pool), before)
  const catalogs = new Set(made.map((line) => line.split(' ', 1)[0]))

  await dropEverything()

  t.same(await listCatalogued(world.pool), before)
  const kinds = (await listCatalogs(world.pool)).filter((name) => !catalogs.has(name))
  // These stay: extensions and default privileges.
  t.same(kinds, ['pg_default_acl', 'pg_extension'])
})

test('an object of another role is reported by name, and nothing is dropped', async (t) => {
  for (const [object, sql] of [
    ['event trigger "Gu ard"', GUARD],
    ['schema theirs', 'create schema theirs; create table theirs.t ()'],
    ['cast (integer AS pg_catalog.uuid)', 'create cast (int as uuid) with inout'],
    ['foreign-data wrapper "No where"', 'create foreign data wrapper "No where"'],
    ['publication theirs', 'create publication theirs'],
    ['table "Odd ""schema".theirs', 'create table "Odd ""schema".theirs ()'],
  ] as const) {
    const { world, dropEverything } = await createWorld(t, { asOwner: true })
    await world.ownerPool.query(EVERYTHING)
    await world.pool.query(sql)
    const before = await listCatalogued(world.pool)

    const refusal = { code: 'not_owner', statusCode: 409, extensions: { relations: [object] } }
    await t.rejects(dropEverything(), refusal, object)

    t.same(await listCatalogued(world.pool), before, object)
  }
})

test('a large object of another role is reported, and stays', async (t) => {
  const { world, dropEverything } = await createWorld(t, { asOwner: true })
  const { rows } = await world.pool.query<{ oid: number }>('select lo_create(0) as oid')

  const refusal = { code: 'not_owner', extensions: { relations: [`large object ${rows[0]?.oid}`] } }
  await t.rejects(dropEverything(), refusal)

  t.equal((await world.pool.query('select from pg_largeobject_metadata')).rowCount, 1)
})

test('a subscription with a slot at its publisher is reported by name', async (t) => {
  const { world, dropEverything } = await createWorld(t)
  const subscribe = `create subscription "far away" connection 'dbname=nowhere' publication mine with (connect = false)`
  await world.pool.query(subscribe)

  const refusal = { code: 'not_owner', extensions: { relations: ['subscription "far away"'] } }
  await t.rejects(dropEverything(), refusal)

  await world.pool.query('alter subscription "far away" set (slot_name = none)')
  await dropEverything()
  t.equal(
    (await world.pool.query(`select from pg_subscription where subname = 'far away'`)).rowCount,
    0,
  )
})

test('names are recognised in a database that quotes all identifiers', async (t) => {
  const { world, dropEverything } = await createWorld(t)
  await world.pool.query(`alter database ${world.name} set quote_all_identifiers = on`)
  const before = await listCatalogued(world.pool)
  await world.pool.query(EVERYTHING)

  await dropEverything()

  t.same(await listCatalogued(world.pool), before)
})

test('temporary objects of another session stay', async (t) => {
  const { world, dropEverything } = await createWorld(t)
  const other = await connect(world.url)
  await other.query(`create temp table mine (id serial, m int);
                     create function pg_temp.f() returns int language sql as 'select 1'`)

  await dropEverything()

  t.same((await other.query('select count(*)::int, pg_temp.f() from mine')).rows, [
    { count: 0, f: 1 },
  ])
  await other.end()
})

test('everything is dropped from a database without schema public, too', async (t) => {
  const { world, dropEverything } = await createWorld(t, { members: 'drop schema public' })
  await world.pool.query(`create schema whole; set search_path = whole; ${IN_A_SCHEMA}`)

  await dropEverything()

  t.equal(
    (await world.pool.query(`select to_regnamespace('whole') as schema`)).rows[0].schema,
    null,
  )
})

test('an extension stays, with the objects that it owns', async (t) => {
  const { world, dropEverything } = await createWorld(t)
  if (!(await hasStandIn(world.pool))) return skip(t, 'the given server has no stand-in')
  await standIn.install(world.pool)
  const before = await listCatalogued(world.pool)
  await world.pool.query(QUEUES)
  await world.pool.query(`create function pgmq.helper() returns int language sql as 'select 1'`)
  await world.pool.query(`select pgmq._drop_members('q_tableless', 'q_tableless_msg_id_seq')`)
  await world.pool.query('drop table pgmq.q_tableless')

  await dropEverything()

  t.same(await listCatalogued(world.pool), before)
  t.equal((await world.pool.query('select from pgmq.meta')).rowCount, 0)
})

test('a PGMQ that was installed by its SQL stays, with everything in its schema except queues', async (t) => {
  const { world, dropEverything } = await createWorld(t)
  const real = await loadRealPgmq()
  if ('missing' in real) return skip(t, real.missing)
  await real.install(world.pool)
  await world.pool.query(`create function pgmq.helper() returns int language sql as 'select 1'`)
  const before = await listCatalogued(world.pool)
  await world.pool.query(QUEUES)
  await world.pool.query('drop table pgmq.q_tableless')

  await dropEverything()

  t.same(await listCatalogued(world.pool), before)
  t.equal((await world.pool.query('select from pgmq.meta')).rowCount, 0)
})

/** Queues with dependent objects, one of which is not in PGMQ's list, and one that loses its table. */
const QUEUES = `
  select pgmq.create('orders'), pgmq.create('Mixed_Case'), pgmq.create('lost'), pgmq.create('tableless');
  create view public.waiting as select count(*) from pgmq.q_orders;
  create function public.tg_nothing() returns trigger language plpgsql as 'begin return null; end';
  create trigger on_row after insert on pgmq.q_orders for each row execute function public.tg_nothing();
  delete from pgmq.meta where queue_name = 'lost';`

function skip(t: Test, reason: string): void {
  t.pass('the drop', { skip: reason })
}

async function createWorld(
  t: Test,
  { members = MEMBERS, ...options }: Partial<WorldOptions> & { members?: string } = {},
) {
  const world = await createResetWorld(t, { from: 'empty', ...options })
  await world.pool.query(`drop schema graphile_migrate cascade; ${members}`)
  return { world, dropEverything: () => dropEverything(world) }
}

async function dropEverything(world: ResetWorld): Promise<void> {
  const client = await connect(world.resetUrl)
  try {
    await rebuild({
      sessions: world.sessions,
      database: world.database,
      lock: { lockTimeoutMs: 2000, terminateBlockers: false },
      migrate: async (hooks) => hooks.afterLocking?.(client),
      onDropping() {},
      onDropped() {},
    })
  } finally {
    await client.end()
  }
}

async function listCatalogs(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select relname as name
       from pg_class
      where oid < 16384 and relkind = 'r' and not relisshared
        and oid in (select attrelid from pg_attribute where attname = 'oid')
      order by 1`,
  )
  return rows.map((row) => row.name)
}

/** All rows of all catalogues, except those that every new database has. */
async function listCatalogued(pool: Pool): Promise<string[]> {
  const lines: string[] = []
  for (const catalog of await listCatalogs(pool)) {
    const { rows } = await pool.query<{ oid: string; row: Record<string, unknown> }>(
      `select oid::text, to_jsonb(entry) as row from ${catalog} as entry where oid >= 16384 order by oid`,
    )
    for (const { oid, row } of rows) {
      const name = Object.entries(row).find(([key]) => key.endsWith('name'))?.[1]
      lines.push(`${catalog} ${oid} ${name ?? ''}`.trim())
    }
  }
  const { rows } = await pool.query<{ line: string }>(
    `select 'pg_subscription ' || subname as line from pg_subscription
      where subdbid = (select oid from pg_database where datname = current_database())`,
  )
  return [...lines, ...rows.map((row) => row.line)]
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  return lines.filter((line) => !others.includes(line))
}
