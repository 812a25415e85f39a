-- The service's own schema. It is created when reset is first enabled, and read by the service only,
-- except for allow_reset and forbid_reset, which an operator calls. Ordinary logged tables: they
-- outlive restarts, crashes and new versions of the service.
--
-- A change to this file needs a new number in store_format, here and in store.ts. The file then runs
-- over the store of an older version; the baseline is not migrated but captured again by a rebuild.
--
-- Every object has a comment, which must never change: an object of that kind and name without that comment
-- belongs to another program (store.ts), and the service neither reads nor touches it.

create schema if not exists provisioning;
comment on schema provisioning is 'The store of commandbus-db for POST /reset.';

create or replace view provisioning.store_format as
select 5 as format;
comment on view provisioning.store_format is 'The version of this schema.';

-- A dump, a template copy, a rename and a promotion each change at least one of these columns.
create or replace view provisioning.this_database as
select control.system_identifier,
       pg_database.oid as database_oid,
       pg_database.datname as database_name,
       -- The checkpoint's timeline lags behind a promotion; that of the log does not.
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline
  from pg_control_system() as control,
       pg_database
 where pg_database.datname = current_database();
comment on view provisioning.this_database is
  'Which database this is: the server, the database in it, and the timeline that the server is on.';

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
  'Its row marks the database disposable, and counts only in the database that it names.';

drop table if exists
  provisioning.baseline,
  provisioning.baseline_object,
  provisioning.baseline_relation,
  provisioning.baseline_row,
  provisioning.baseline_sequence;

create table provisioning.baseline (
  baseline_id           bigint      primary key generated always as identity,
  format                int         not null,
  last_migration        text        not null,
  -- Null: unknown, until every definition has been compared again.
  objects_fingerprint   numeric,
  parts_fingerprint     numeric,
  last_attempt          bigint      not null,
  captured_at           timestamptz not null default now()
);
comment on table provisioning.baseline is 'The state after migrating: at most one row.';

-- A sequence because it has to be like the data's sequences: set outside of the transaction, and before them.
create sequence if not exists provisioning.reset_attempt minvalue 0 start 0;
comment on sequence provisioning.reset_attempt is
  'The last reset that started to set sequences; baseline.last_attempt is the last one that committed.';

create table provisioning.baseline_object (
  kind       text not null,
  name       text not null,
  definition text not null,
  primary key (kind, name)
);
comment on table provisioning.baseline_object is 'The definition of every object of the schema.';

create table provisioning.baseline_relation (
  name             text    primary key,
  is_populated     boolean not null,
  rows_fingerprint numeric
);
comment on table provisioning.baseline_relation is
  'Tables that had rows, and all materialized views; every other table was empty.';

create table provisioning.baseline_row (
  name     text   not null,
  position bigint not null,
  content  text   not null,
  primary key (name, position)
);
comment on table provisioning.baseline_row is
  'The rows as text, which outlives the types that a rebuild drops.';

create table provisioning.baseline_sequence (
  name       text    primary key,
  last_value bigint  not null,
  is_called  boolean not null
);
comment on table provisioning.baseline_sequence is 'The value of every sequence.';

create table if not exists provisioning.seed (
  filename   text        primary key,
  hash       text        not null,
  applied_at timestamptz
);
comment on table provisioning.seed is
  'The seeds of this database, as of its first migration; applied_at is null for one that has yet to run.';

create or replace function provisioning.forbid_reset()
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  delete from provisioning.disposable;
$$;
comment on function provisioning.forbid_reset() is 'Revokes what allow_reset allowed.';
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
            hint = 'Connect to the database whose data may be thrown away, and pass its name.';
  end if;
  perform provisioning.forbid_reset();
  insert into provisioning.disposable
         (system_identifier, database_oid, database_name, timeline, is_by_service)
  select this_database.*, false
    from provisioning.this_database;
end;
$$;
comment on function provisioning.allow_reset(text) is
  'Marks this database disposable, which has to be named: POST /reset may throw its data away.';
revoke all on function provisioning.allow_reset(text) from public;
