/** What a borrower does to its database, and whether that costs the database. */
export interface LeftBehind {
  readonly what: string
  /** Run in one session each, which is closed again. */
  readonly sql: readonly string[]
  /** The same database is lent again, rather than a new one. */
  readonly isKept: boolean
}

export const LEFT_BEHIND: readonly LeftBehind[] = [
  { what: 'nothing', sql: ['select'], isKept: true },
  {
    what: 'rows',
    sql: [
      `insert into commandbus.batch (domain, batch_id, total_count) values ('a', gen_random_uuid(), 1)`,
      `update e2e.config set value = '{}'`,
      'delete from e2e.config',
    ],
    isKept: true,
  },
  {
    what: 'a sequence that was used',
    sql: [`select nextval('commandbus.audit_audit_id_seq')`],
    isKept: true,
  },
  {
    what: 'messages and a queue',
    sql: [`select pgmq.create('mine'); select pgmq.send('mine', '{}')`],
    isKept: true,
  },
  { what: 'a truncated table', sql: ['truncate commandbus.command cascade'], isKept: true },
  {
    what: 'a table that was made and dropped',
    sql: ['create table public.t (n serial primary key)', 'drop table public.t'],
    isKept: true,
  },
  { what: 'a temporary table', sql: ['create temp table t (n int)'], isKept: true },
  {
    what: 'advisory locks and LISTEN',
    sql: ['select pg_advisory_lock(1)', 'listen news'],
    isKept: true,
  },
  { what: 'an analyzed table', sql: ['vacuum analyze'], isKept: true },
  { what: 'a table', sql: ['create table public.t (n int)'], isKept: false },
  { what: 'an unlogged table', sql: ['create unlogged table public.t (n int)'], isKept: false },
  { what: 'a column', sql: ['alter table commandbus.command add x int'], isKept: false },
  {
    what: 'a column that was added and dropped',
    sql: ['alter table commandbus.command add x int', 'alter table commandbus.command drop x'],
    isKept: false,
  },
  { what: 'an index', sql: ['create index on commandbus.command (status)'], isKept: false },
  {
    what: 'a storage parameter',
    sql: ['alter table commandbus.command set (fillfactor = 50)'],
    isKept: false,
  },
  {
    what: 'a statistics target',
    sql: ['alter table commandbus.command alter status set statistics 7'],
    isKept: false,
  },
  { what: 'a schema', sql: ['create schema s'], isKept: false },
  { what: 'no schema', sql: ['drop schema e2e cascade'], isKept: false },
  {
    what: 'a function with another body',
    sql: [
      `create or replace function commandbus.counter_no(int) returns int language sql as 'select 1'`,
    ],
    isKept: false,
  },
  {
    what: 'a disabled trigger',
    sql: ['alter table commandbus.command disable trigger all'],
    isKept: false,
  },
  { what: 'a type', sql: [`create type public.mood as enum ('ok')`], isKept: false },
  { what: 'an extension', sql: ['drop extension plpgsql cascade'], isKept: false },
  { what: 'a comment', sql: [`comment on table commandbus.command is 'x'`], isKept: false },
  {
    what: 'a comment on a column',
    sql: [`comment on column commandbus.command.status is 'x'`],
    isKept: false,
  },
  {
    what: 'a comment on the database',
    sql: [onDatabase(`comment on database %I is 'x'`)],
    isKept: false,
  },
  { what: 'a grant', sql: ['grant select on commandbus.command to public'], isKept: false },
  {
    what: 'a grant on a column',
    sql: ['grant select (status) on commandbus.command to public'],
    isKept: false,
  },
  { what: 'a grant on a schema', sql: ['grant create on schema public to public'], isKept: false },
  {
    what: 'a grant on a function of PostgreSQL',
    sql: ['revoke execute on function pg_sleep(float8) from public'],
    isKept: false,
  },
  {
    what: 'a grant on a function of an extension',
    sql: ['grant execute on function pgmq.create(text) to pg_monitor'],
    isKept: false,
  },
  {
    what: 'a grant on the database',
    sql: [onDatabase('revoke connect on database %I from public')],
    isKept: false,
  },
  {
    what: 'default privileges',
    sql: ['alter default privileges grant select on tables to public'],
    isKept: false,
  },
  {
    what: 'a setting of the database',
    sql: [onDatabase(`alter database %I set work_mem = '5MB'`)],
    isKept: false,
  },
  {
    what: 'a search_path of the database',
    sql: [onDatabase('alter database %I set search_path = e2e')],
    isKept: false,
  },
  {
    what: 'a setting of a role in the database',
    sql: [onDatabase(`alter role current_user in database %I set work_mem = '5MB'`)],
    isKept: false,
  },
  {
    what: 'a connection limit',
    sql: [onDatabase('alter database %I connection limit 7')],
    isKept: false,
  },
  { what: 'a template', sql: [onDatabase('alter database %I is_template true')], isKept: false },
  {
    what: 'another owner',
    sql: [onDatabase('alter database %I owner to pg_monitor')],
    isKept: false,
  },
  { what: 'a large object', sql: [`select lo_from_bytea(0, 'x')`], isKept: false },
  { what: 'a publication', sql: ['create publication p for all tables'], isKept: false },
  {
    what: 'a subscription',
    sql: [
      `create subscription s connection 'host=nowhere' publication p
         with (connect = false, slot_name = none)`,
    ],
    isKept: false,
  },
  {
    what: 'a statistics object',
    sql: ['create statistics commandbus.s on status, domain from commandbus.command'],
    isKept: false,
  },
  {
    what: 'a text search configuration',
    sql: ['create text search configuration public.c (copy = english)'],
    isKept: false,
  },
  { what: 'a cast', sql: ['create cast (text as int4) with inout'], isKept: false },
  { what: 'a collation', sql: [`create collation public.c (locale = 'C')`], isKept: false },
  {
    what: 'a foreign server',
    sql: ['create foreign data wrapper w', 'create server s foreign data wrapper w'],
    isKept: false,
  },
  {
    what: 'an event trigger',
    sql: [
      `create function public.f() returns event_trigger language plpgsql as 'begin end'`,
      'create event trigger e on ddl_command_end execute function public.f()',
    ],
    isKept: false,
  },
  {
    what: 'a prepared transaction',
    sql: [`begin; delete from e2e.config; prepare transaction 'left behind'`],
    isKept: false,
  },
  { what: 'another history', sql: ['delete from graphile_migrate.migrations'], isKept: false },
  { what: 'no baseline', sql: ['delete from provisioning.baseline_row'], isKept: false },
  { what: 'no store', sql: ['drop schema provisioning cascade'], isKept: false },
  {
    what: 'a row in a table of the store',
    sql: [`update provisioning.baseline_relation set rows_fingerprint = 0`],
    isKept: false,
  },
]

/** A statement about the database that it is run in, which has to be named. */
function onDatabase(statement: string): string {
  return `do $do$ begin execute format($sql$${statement}$sql$, current_database()); end $do$`
}
