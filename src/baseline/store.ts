import type { Queryable } from '../postgres/client.ts'

/** The service's own schema in the database; neither reset nor fingerprinted. */
export const STORE_SCHEMA = 'provisioning'

/** The migration tool's schema: its record is history, not data. */
export const TOOL_SCHEMA = 'graphile_migrate'

/** Raised when what is stored changes its meaning: a baseline of another format does not count. */
export const STORE_FORMAT = 2

/**
 * Where we are, as one row: the server's data, the database in it, and the line of history that the
 * server is on. A dump, a template copy, a rename and a promotion each change at least one of them.
 */
export const HERE_SQL = `
  select control.system_identifier,
         pg_database.oid as database_oid,
         pg_database.datname as database_name,
         -- The checkpoint's timeline lags behind a promotion; the log's does not.
         ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline
    from pg_control_system() as control,
         pg_database
   where pg_database.datname = current_database()`

// Ordinary logged tables: they outlive restarts, crashes and new versions of the service.
const STORE_SQL = `
create schema if not exists provisioning;
comment on schema provisioning is 'What commandbus-db keeps for POST /reset.';

create table if not exists provisioning.disposable (
  is_only           boolean     primary key default true check (is_only),
  system_identifier bigint      not null,
  database_oid      oid         not null,
  database_name     name        not null,
  timeline          int         not null,
  is_by_service     boolean     not null,
  allowed_at        timestamptz not null default now()
);
comment on table provisioning.disposable is
  'The mark by which a database agrees to be reset; counts only where it was made.';

-- Its shape has changed since format 1.
drop table if exists provisioning.baseline;
create table provisioning.baseline (
  baseline_id    bigint      primary key generated always as identity,
  format         int         not null,
  last_migration text        not null,
  -- Null: to be taken anew, once every definition has been compared.
  catalog_sign   numeric,
  parts_sign     numeric,
  last_attempt   bigint      not null,
  captured_at    timestamptz not null default now()
);
comment on table provisioning.baseline is 'What the migrations left: at most one row.';

-- A sequence, since it is set as the data's sequences are: outside of the transaction, and before them.
create sequence if not exists provisioning.reset_attempt minvalue 0 start 0;
comment on sequence provisioning.reset_attempt is
  'The last reset that began to set sequences; baseline.last_attempt has the last one that committed.';

create table if not exists provisioning.baseline_object (
  kind       text not null,
  name       text not null,
  definition text not null,
  primary key (kind, name)
);
comment on table provisioning.baseline_object is 'Every object of the schema, as it was.';

create table if not exists provisioning.baseline_relation (
  name         text    primary key,
  is_populated boolean not null,
  rows_sign    numeric
);
comment on table provisioning.baseline_relation is
  'Tables that had rows, and all materialised views; other tables were empty.';

create table if not exists provisioning.baseline_row (
  name     text   not null,
  position bigint not null,
  content  text   not null,
  primary key (name, position)
);
comment on table provisioning.baseline_row is
  'The rows as text: independent of the types, which a rebuild drops.';

create table if not exists provisioning.baseline_sequence (
  name       text    primary key,
  last_value bigint  not null,
  is_called  boolean not null
);
comment on table provisioning.baseline_sequence is 'Every sequence, as it was.';

create or replace function provisioning.forbid_reset()
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  delete from provisioning.disposable;
$$;
comment on function provisioning.forbid_reset() is 'Takes back what allow_reset allowed.';
revoke all on function provisioning.forbid_reset() from public;

create or replace function provisioning.allow_reset(database_name text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  if allow_reset.database_name is distinct from current_database() then
    raise exception 'this is database %, not %', current_database(), allow_reset.database_name
      using errcode = 'invalid_parameter_value',
            hint = 'Name the database whose data may be thrown away, and connect to it.';
  end if;
  perform provisioning.forbid_reset();
  insert into provisioning.disposable
         (system_identifier, database_oid, database_name, timeline, is_by_service)
  select here.*, false
    from (${HERE_SQL}) as here;
end;
$$;
comment on function provisioning.allow_reset(text) is
  'Allows POST /reset to throw away the data of this database, which has to be named.';
revoke all on function provisioning.allow_reset(text) from public;
`

/** Makes the service's own schema where it is not there yet, or as an older version left it. */
export async function ensureStore(client: Queryable): Promise<void> {
  const { rows } = await client.query<{ current: boolean }>(
    `select exists (
       select from pg_catalog.pg_class
         join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
        where nspname = 'provisioning' and relname = 'reset_attempt') as current`,
  )
  if (!rows[0]?.current) await client.query(`begin; ${STORE_SQL}; commit`)
}

/** Also false where the role may not look into it, and so can neither reset nor allow it. */
export async function hasStore(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `select exists (
       select from pg_catalog.pg_class
         join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
        where nspname = 'provisioning' and relname = 'disposable'
          and pg_catalog.has_schema_privilege(relnamespace, 'usage')
          and pg_catalog.has_table_privilege(pg_class.oid, 'select')) as there`,
  )
  return rows[0]?.there === true
}
