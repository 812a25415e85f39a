import { definitionsSql } from '../catalog/definitions/definitions.ts'
import { SERVICE_SESSION } from '../postgres/service-session.ts'
import { sql } from '../postgres/sql-text.ts'
import { HOLDS_NOTHING, MADE_SCHEMAS } from './holds-nothing.ts'
import { LAST_CURRENT_SQL, LAST_MIGRATION_SQL } from './last-migration.ts'

/**
 * The number of this script: raised when the tables or the definitions change. A schema that was recorded
 * with another number is not compared; the next provisioning that applies something records it again. What is only
 * faster needs no new number: a database that has the script keeps its functions, which do the same.
 */
export const RECORD_FORMAT = 2

/** Whatever session calls a function, the texts of definitions are the same. */
const CANONICAL = [
  'set search_path = pg_catalog, pg_temp',
  ...(
    [
      ...['DateStyle', 'IntervalStyle', 'TimeZone', 'bytea_output', 'extra_float_digits'],
      ...['quote_all_identifiers', 'xmlbinary', 'lc_monetary', 'lc_numeric', 'lc_time'],
    ] as const
  ).map((name) => `set ${name} = '${SERVICE_SESSION[name]}'`),
  // Compiling the query would take longer than running it, and so would a search for the best plan: the joins
  // are written in the order in which they are fast, and the catalogue is in memory.
  // Nothing has the session keep its plan: it would lose it with every new schema, as migrations make them, and for
  // 1,000 tables a plan that suits all arguments is slower by a fifth.
  'set jit = off',
  ...['set join_collapse_limit = 1', 'set enable_mergejoin = off', 'set random_page_cost = 1'],
].join('\n')

/** The columns of a recorded object, besides the moment. */
export const RECORDED_COLUMNS = 'kind, name, schema, parent, aspects, classid, objid, objsubid'

/**
 * Creates what keeps the recorded schema, in the service's own schema; can be run again over itself. Like
 * store.sql, it gives every object a comment that must never change: by it the object is known as the
 * service's own.
 */
export const RECORDER_SCRIPT = sql`
-- They are checked by tests, and a start has no time for it.
set local check_function_bodies = off;

do $$
begin
  if to_regnamespace('provisioning') is null then
    create schema provisioning;
    comment on schema provisioning is 'The store of commandbus-db.';
  end if;
end
$$;

create or replace view provisioning.record_format as
select ${RECORD_FORMAT} as format;
comment on view provisioning.record_format is 'The version of the record of the schema.';

-- moment: 'after' is the recorded schema, what the migrations made; 'before' is the state before a
-- provisioning that has not ended, or was interrupted; 'now' exists inside a function only.
create table if not exists provisioning.recorded_schema (
  moment          text        primary key check (moment in ('after', 'before', 'now')),
  format          int         not null,
  server_major    int         not null,
  database_oid    oid         not null,
  last_migration  text,
  schemas         text[]      not null,
  roles           text[]      not null,
  current_applied timestamptz,
  recorded_at     timestamptz not null default now()
);
comment on table provisioning.recorded_schema is
  'The moments of which the schema was recorded, without any row of data.';

create table if not exists provisioning.recorded_object (
  moment   text  not null,
  kind     text  not null,
  name     text  not null,
  schema   text,
  parent   text,
  aspects  jsonb not null,
  classid  oid   not null,
  objid    oid   not null,
  objsubid int   not null,
  primary key (moment, kind, name)
);
comment on table provisioning.recorded_object is
  'The definition of every object at a recorded moment, aspect by aspect.';

drop function if exists provisioning.read_definitions(text[], text[]);
create or replace function provisioning.read_definitions(p_schemas text[], p_roles text[], p_objects text[])
returns table (kind text, name text, schema text, parent text, aspects jsonb, classid oid, objid oid, objsubid int)
language plpgsql
stable
security invoker
${CANONICAL}
as $$
#variable_conflict use_column
begin
  return query
  ${definitionsSql({ schemas: 'p_schemas', roles: 'p_roles', objects: { names: 'p_objects' } })};
end;
$$;
comment on function provisioning.read_definitions(text[], text[], text[]) is
  'The definitions of all objects of these schemas, with the privileges of these roles (null: of all).';
revoke all on function provisioning.read_definitions(text[], text[], text[]) from public;

create or replace function provisioning.list_schemas()
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(quote_ident(nspname) order by nspname), '{}')
    from pg_namespace
   where ${MADE_SCHEMAS};
$$;
comment on function provisioning.list_schemas() is 'The schemas that migrations may have made.';
revoke all on function provisioning.list_schemas() from public;

create or replace function provisioning.read_history()
returns table (last_migration text, current_applied timestamptz)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if to_regclass('graphile_migrate.migrations') is null then
    return query select null::text, null::timestamptz;
  else
    return query
    select (${LAST_MIGRATION_SQL}),
           (${LAST_CURRENT_SQL});
  end if;
end;
$$;
comment on function provisioning.read_history() is
  'The hash of the last migration, and when current.sql was last applied, if it says something.';
revoke all on function provisioning.read_history() from public;

create or replace function provisioning.record_objects(p_moment text, p_schemas text[])
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  delete from provisioning.recorded_object where moment = p_moment;
  insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
  select p_moment, ${RECORDED_COLUMNS}
    from provisioning.read_definitions(p_schemas, null, null);
$$;
comment on function provisioning.record_objects(text, text[]) is
  'Records the definitions of these schemas, with the privileges of all roles.';
revoke all on function provisioning.record_objects(text, text[]) from public;

create or replace function provisioning.date_record(p_moment text, p_schemas text[])
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  delete from provisioning.recorded_schema where moment = p_moment;
  insert into provisioning.recorded_schema
         (moment, format, server_major, database_oid, last_migration, schemas, roles, current_applied)
  select p_moment, ${RECORD_FORMAT}, current_setting('server_version_num')::int / 10000, pg_database.oid,
         last_migration, p_schemas,
         array(select 'PUBLIC'
               union
               select substr(aspect, length('privileges of ') + 1)
                 from provisioning.recorded_object
                cross join jsonb_object_keys(aspects) as aspect
                where moment = p_moment
                  and starts_with(aspect, 'privileges of ')
                order by 1),
         current_applied
    from provisioning.read_history(), pg_database
   where datname = current_database();
$$;
comment on function provisioning.date_record(text, text[]) is
  'Says of a record to which migration and which schemas it belongs.';
revoke all on function provisioning.date_record(text, text[]) from public;

create or replace function provisioning.record_schema(p_schemas text[] default null)
returns text[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_schemas constant text[] := coalesce(
    (select array_agg(quote_ident(schema)) from unnest(p_schemas) as schema),
    (select schemas from provisioning.recorded_schema where moment = 'after'),
    provisioning.list_schemas());
begin
  lock table provisioning.recorded_schema in exclusive mode;
  perform provisioning.record_objects('after', v_schemas);
  perform provisioning.date_record('after', v_schemas);
  delete from provisioning.recorded_object where moment = 'before';
  delete from provisioning.recorded_schema where moment = 'before';
  return v_schemas;
end;
$$;
comment on function provisioning.record_schema(text[]) is
  'Takes the schema as it is now for what the migrations made: nothing is drift any more. Returns the schemas: the given ones, or those recorded before, or all.';
revoke all on function provisioning.record_schema(text[]) from public;

create or replace function provisioning.begin_recording()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_schemas text[];
begin
  lock table provisioning.recorded_schema in exclusive mode;
  -- A provisioning that was interrupted between two migrations is continued: it began then.
  if not exists (select
                   from provisioning.recorded_schema
                  cross join provisioning.read_history() as history
                  where moment = 'before'
                    and format = ${RECORD_FORMAT}
                    and recorded_schema.last_migration is distinct from history.last_migration) then
    v_schemas := provisioning.list_schemas();
    if ${HOLDS_NOTHING} then
      -- To plan the query for it takes far longer than all else.
      delete from provisioning.recorded_object where moment = 'before';
    else
      perform provisioning.record_objects('before', v_schemas);
    end if;
    perform provisioning.date_record('before', v_schemas);
  end if;
end;
$$;
comment on function provisioning.begin_recording() is
  'Remembers the schema before migrations, so that finish_recording knows what they change.';
revoke all on function provisioning.begin_recording() from public;

create or replace view provisioning.recorded_change as
select kind, name,
       coalesce(now.schema, before.schema) as schema,
       before.aspects as before,
       now.aspects as now
  from (select * from provisioning.recorded_object where moment = 'before') as before
  full join (select * from provisioning.recorded_object where moment = 'now') as now
    using (kind, name)
 where before.aspects is distinct from now.aspects;
comment on view provisioning.recorded_change is
  'What changed between two recorded moments; exists inside finish_recording only.';

create or replace function provisioning.record_changes(p_schemas text[], p_touched text[])
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  -- What they dropped, with its parts, and what they made although another session had dropped it.
  delete from provisioning.recorded_object as recorded
   using provisioning.recorded_change as change
   where recorded.moment = 'after'
     and (change.now is null or change.before is null)
     and ((recorded.kind, recorded.name) = (change.kind, change.name)
          or recorded.parent = change.name);

  -- Of what they changed, the aspects that they changed: another one may have been different before.
  update provisioning.recorded_object as recorded
     set aspects = (recorded.aspects - array(select key
                                               from jsonb_object_keys(change.before) as key
                                              where not change.now ? key))
                     || (select coalesce(jsonb_object_agg(key, value), '{}')
                           from jsonb_each(change.now)
                          where change.before -> key is distinct from value)
    from provisioning.recorded_change as change
   where recorded.moment = 'after'
     and (recorded.kind, recorded.name) = (change.kind, change.name)
     and change.before is not null
     and change.now is not null;

  -- What they made, and all that is in a schema that they touched for the first time.
  insert into provisioning.recorded_object (moment, ${RECORDED_COLUMNS})
  select 'after', ${RECORDED_COLUMNS}
    from provisioning.recorded_object as made
   where moment = 'now'
     and (exists (select from provisioning.recorded_change as change
                   where (change.kind, change.name) = (made.kind, made.name))
          or schema = any (p_touched) and schema <> all (p_schemas))
      on conflict (moment, kind, name) do nothing;
$$;
comment on function provisioning.record_changes(text[], text[]) is
  'Applies what migrations changed to the recorded schema; differences from before them are left as they are.';
revoke all on function provisioning.record_changes(text[], text[]) from public;

create or replace function provisioning.finish_recording()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_before    provisioning.recorded_schema;
  v_recorded  provisioning.recorded_schema;
  v_continues boolean;
  v_schemas   text[];
  v_touched   text[];
begin
  lock table provisioning.recorded_schema in exclusive mode;
  select * into v_before from provisioning.recorded_schema where moment = 'before';
  select * into v_recorded from provisioning.recorded_schema where moment = 'after';
  if v_before.moment is null then
    return;
  end if;
  v_schemas := provisioning.list_schemas();
  v_continues := coalesce(v_recorded.format = ${RECORD_FORMAT}
                            and v_recorded.server_major = v_before.server_major
                            and v_recorded.last_migration = v_before.last_migration, false);
  if not v_continues
     and not exists (select from provisioning.recorded_object where moment = 'before') then
    -- As below, but written once: all that there is now is theirs.
    perform provisioning.record_objects('after', v_schemas);
    v_touched := array(select distinct schema
                         from provisioning.recorded_object
                        where moment = 'after'
                          and schema is not null
                        order by schema);
    if v_before.last_migration is not null or v_touched = '{}' then
      v_touched := v_schemas;
    end if;
  else
    perform provisioning.record_objects('now', v_schemas);
    v_touched := array(select distinct schema
                         from provisioning.recorded_change
                        where now is not null
                          and schema is not null
                        order by schema);
    if v_continues then
      perform provisioning.record_changes(v_recorded.schemas, v_touched);
      v_touched := array(select distinct unnest(v_recorded.schemas || v_touched) as schema order by schema);
    else
      -- Nothing is known of what came before the migrations, so all of it is taken for theirs: on a database
      -- without a history what is in schemas that they touched, else everything.
      if v_before.last_migration is not null or v_touched = '{}' then
        v_touched := v_schemas;
      end if;
      delete from provisioning.recorded_object where moment = 'after';
      update provisioning.recorded_object
         set moment = 'after'
       where moment = 'now'
         and (schema is null or schema = any (v_touched));
    end if;
  end if;
  perform provisioning.date_record('after', v_touched);
  -- 'committed' is the development loop's.
  delete from provisioning.recorded_object where moment in ('before', 'now');
  delete from provisioning.recorded_schema where moment <> 'after';
end;
$$;
comment on function provisioning.finish_recording() is
  'Records what the migrations since begin_recording changed; what was different before stays different.';
revoke all on function provisioning.finish_recording() from public;
`
