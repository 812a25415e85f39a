/** Runs once in each file, with names that differ: what it can leave in a session, a role or a database. */
export const LEAVING: readonly string[] = [
  `select set_config('search_path', '', false);`,
  'set search_path = made, public;',
  'set local search_path = made;',
  'set session_replication_role = replica;',
  'set role app_owner;',
  'set session authorization app_owner;',
  'set session authorization app_owner; set role pg_monitor;',
  `set app.tenant = '1';`,
  `set "app.tenant" = '2';`,
  `set local app.tenant = '3';`,
  `do $$ begin perform set_config('app' || '.tenant', '4', false); end $$;`,
  `do $$ begin execute format('set %I = 5', 'app.tenant'); end $$;`,
  `select public.set_tenant();`,
  `insert into public.with_default default values;`,
  'select * from public.setting_view;',
  `set timezone = 'Asia/Tokyo';`,
  `set datestyle = 'German, DMY';`,
  'set standard_conforming_strings = off;',
  `set default_transaction_isolation = 'serializable';`,
  'set session characteristics as transaction isolation level repeatable read;',
  'set transaction isolation level serializable;',
  'set check_function_bodies = off;',
  'set row_security = off;',
  'set xmloption = document;',
  'set client_encoding = latin1;',
  `set lock_timeout = '1min'; set statement_timeout = '1min';`,
  `set application_name = 'other';`,
  'prepare leftover as select 1;',
  'prepare leftover as select 1; deallocate all;',
  'declare leftover cursor with hold for select 1;',
  'listen leftover;',
  'create temporary table seen (i int);',
  'create temporary view leftover_view as select 1 as i;',
  `create function pg_temp.leftover() returns int language sql as 'select 1';`,
  "create type pg_temp.leftover_type as enum ('a');",
  'select pg_advisory_lock(1), pg_advisory_lock_shared(2);',
  'select pg_advisory_unlock_all();',
  `select nextval('public.cached');`,
  'insert into public.numbered default values;',
  '--! no-transaction\ndiscard all;',
  '--! no-transaction\nset app.tenant = 6;',
  '--! no-transaction\nbegin; set role app_owner; commit;',
  'reset all; discard temp; discard sequences; close all;',
  `load 'plpgsql';`,
  `do $$ begin execute format('alter database %I set search_path = made, public', current_database()); end $$;`,
  `do $$ begin execute format('alter database %I set app.tenant = 7', current_database()); end $$;`,
  `do $$ begin execute format('alter database %I reset all', current_database()); end $$;`,
  `do $$ begin execute format('alter role current_user in database %I set timezone = %L', current_database(), 'Asia/Tokyo'); end $$;`,
  `do $$ begin execute format('alter role current_user in database %I set role = app_owner', current_database()); end $$;`,
  'alter default privileges grant select on tables to app_owner;',
]

/** Before all of them. */
export const PREPARATION = `
  create schema made;
  create sequence public.cached cache 20;
  create table public.numbered (id int generated always as identity);
  create function public.set_tenant() returns text language sql
    as $$ select set_config('app.tenant', '8', false) $$;
  create table public.with_default (tenant text default set_config('app.tenant', '9', false));
  create view public.setting_view as select set_config('app.tenant', '10', false);
  create table public.noted (id int generated always as identity, note jsonb);
  grant all on all tables in schema public to app_owner;
  grant all on schema public, made to app_owner;
  grant usage on all sequences in schema public to app_owner;`

/** Notes what a file finds in its session; afterwards creates a table where the session creates tables. */
export const observe = (number: number) => `
  insert into public.noted (note) select to_jsonb(found) from (
    select current_setting('search_path') as path,
           current_setting('session_replication_role') as replication,
           current_user::text as role, session_user::text as login,
           current_setting('app.tenant', true) as tenant,
           current_setting('timezone') as timezone, current_setting('datestyle') as datestyle,
           current_setting('standard_conforming_strings') as strings,
           current_setting('transaction_isolation') as isolation,
           current_setting('check_function_bodies') as bodies,
           current_setting('row_security') as row_security, current_setting('xmloption') as xml,
           current_setting('client_encoding') as encoding,
           current_setting('lock_timeout') as lock_timeout,
           current_setting('statement_timeout') as statement_timeout,
           (select count(*) from pg_prepared_statements) as prepared,
           (select count(*) from pg_cursors where is_holdable) as cursors,
           (select count(*) from pg_listening_channels()) as channels,
           (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
           (select count(*) from pg_locks
             where pid = pg_backend_pid() and locktype = 'advisory' and classid = 0) as locks,
           nextval('public.cached') as value) found;
  create table made_by_file_${number} (id int);`
