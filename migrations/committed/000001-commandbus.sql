--! Previous: -
--! Hash: sha1:f0ff3ec45f03d3ff7758bd35199c6e7d502cfaae
--! Message: commandbus

-- The command bus: its tables, the counter rows of large batches, and the functions that move commands
-- and count them for their batches. An existing command bus is adopted: its tables get the same columns,
-- indexes, constraints and comments as new ones.

-- Below, names are qualified; unqualified ones are PostgreSQL's own, whatever the session's path is.
set local search_path = pg_catalog, pg_temp;

--! Included commandbus/adoption/recognize.sql
-- Decides, before anything changes, whether this history may begin in this database: in an empty one,
-- in one whose schema commandbus another tool made, or in one with the tables of the old init script
-- in public. Anything else is refused with what was found. The blocks below read the answer from
-- settings that end with this transaction.
do $$
declare
  -- The tables and columns of a new database; "?" marks what some existing databases lack.
  v_spec constant jsonb = $json${
    "batch": [
      "domain text not null", "batch_id uuid not null", "name text", "custom_data jsonb",
      "status text not null default 'PENDING'", "total_count int not null default 0",
      "completed_count int not null default 0", "canceled_count int not null default 0",
      "in_troubleshooting_count int not null default 0",
      "created_at timestamptz not null default now()", "started_at timestamptz",
      "completed_at timestamptz",
      "?failed_count int not null default 0", "?batch_type text not null default 'COMMAND'"
    ],
    "command": [
      "domain text not null", "queue_name text not null", "msg_id bigint",
      "command_id uuid not null", "command_type text not null", "status text not null",
      "attempts int not null default 0", "max_attempts int not null",
      "lease_expires_at timestamptz", "last_error_type text", "last_error_code text",
      "last_error_msg text", "created_at timestamptz not null default now()",
      "updated_at timestamptz not null default now()", "reply_queue text not null default ''",
      "correlation_id uuid", "batch_id uuid"
    ],
    "audit": [
      "audit_id bigint not null", "domain text not null", "command_id uuid not null",
      "event_type text not null", "ts timestamptz not null default now()", "details_json jsonb"
    ],
    "payload_archive": [
      "domain text not null", "command_id uuid not null", "payload_json jsonb not null",
      "archived_at timestamptz not null default now()"
    ],
    "?process": [
      "domain text not null", "process_id uuid not null", "process_type text not null",
      "status text not null default 'PENDING'", "current_step text",
      "state jsonb not null default '{}'", "error_code text", "error_message text",
      "created_at timestamptz not null default now()",
      "updated_at timestamptz not null default now()", "completed_at timestamptz", "?batch_id uuid"
    ],
    "?process_audit": [
      "id bigint not null", "domain text not null", "process_id uuid not null",
      "step_name text not null", "command_id uuid not null", "command_type text not null",
      "command_data jsonb", "sent_at timestamptz not null", "reply_outcome text",
      "reply_data jsonb", "received_at timestamptz"
    ]
  }$json$;
  -- The functions that such a schema has; this migration replaces them.
  v_functions constant text[] = array[
    'sp_receive_command(text, uuid, text, bigint, integer)',
    'sp_finish_command(text, uuid, text, text, text, text, text, jsonb, uuid)',
    -- The oldest, without batches.
    'sp_finish_command(text, uuid, text, text, text, text, text, jsonb)',
    'sp_fail_command(text, uuid, text, text, text, integer, integer, bigint)',
    'sp_update_batch_counters(text, uuid, text)',
    'sp_start_batch(text, uuid)',
    'sp_tsq_complete(text, uuid)',
    'sp_tsq_cancel(text, uuid)',
    'sp_tsq_retry(text, uuid)',
    'sp_refresh_batch_stats(text, uuid)'
  ];
  v_schema      text;
  v_prefix      text;
  v_old         text;
  v_found       text;
  v_columns     jsonb;
  v_missing     text;
  v_not_tables  text;
  v_differing   text;
  v_further     text;
  v_owner       name;
  v_orphans     boolean;
begin
  select string_agg(name, ', ' order by name)
    into v_old
    from (
      select format('public.%s', relname) as name
        from pg_class
       where relnamespace = to_regnamespace('public')
         and relname in ('command_bus_batch', 'command_bus_command', 'command_bus_audit',
                         'command_bus_payload_archive')
         and relkind in ('r', 'p', 'v', 'm', 'f')
      union all
      select oid::regprocedure::text
        from pg_proc
       where to_regnamespace('commandbus') is not null
         and pronamespace = to_regnamespace('public')
         and format('%s(%s)', proname, oidvectortypes(proargtypes)) = any (v_functions)
    ) as old_name;

  if to_regnamespace('commandbus') is not null then
    v_schema := 'commandbus';
    v_prefix := '';

    select coalesce(string_agg(relname, ', ' order by relname), 'no table')
      into v_found
      from pg_class
     where relnamespace = to_regnamespace('commandbus') and relkind in ('r', 'p', 'v', 'm', 'f');

    if v_old is not null then
      raise exception 'public has the names of an old command bus, and there is also a schema commandbus'
        using errcode = 'duplicate_schema',
              detail = format('Found in commandbus: %s. Found of an old command bus: %s.',
                v_found, v_old),
              hint = 'Nothing was changed. Find out which of the two the clients use, and move or '
                     'rename the other, for example: alter table public.command_bus_command rename to '
                     'old_command. Then start again.';
    end if;
  elsif v_old is not null then
    v_schema := 'public';
    v_prefix := 'command_bus_';
    v_found := v_old;
  else
    perform set_config('adoption.origin', 'none', true),
            set_config('adoption.schema', 'commandbus', true),
            set_config('adoption.columns', '[]', true),
            set_config('adoption.tables', '{}', true),
            set_config('adoption.functions', '{}', true);
    return;
  end if;

  -- Every expected column, with what was found of it.
  select jsonb_agg(jsonb_build_object(
           'table', ltrim(spec.key, '?'),
           'name', split_part(ltrim(definition, '?'), ' ', 1),
           'type', split_part(definition, ' ', 2),
           'not_null', strpos(definition, ' not null') > 0,
           'default', nullif(split_part(definition, ' default ', 2), ''),
           'is_table_found', pg_class.oid is not null,
           'found', format_type(attribute.atttypid, attribute.atttypmod),
           'fits', attribute.atttypid = to_regtype(split_part(definition, ' ', 2))
             or attribute.atttypid = 'varchar'::regtype
                and split_part(definition, ' ', 2) = 'text' and spec.key like '?process%',
           'may_be_missing', definition like '?%'
             or spec.key like '?%' and pg_class.oid is null
             -- The oldest tables in public know no batches.
             or v_schema = 'public' and (spec.key = 'batch' and pg_class.oid is null
                or spec.key = 'command' and definition like 'batch\_id %'))
           order by spec.key, position)
    into v_columns
    from jsonb_each(v_spec) as spec
    cross join jsonb_array_elements_text(spec.value) with ordinality as expected (definition, position)
    left join pg_class
      on pg_class.relnamespace = v_schema::regnamespace
     and pg_class.relname = v_prefix || ltrim(spec.key, '?')
     and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
     and (v_schema = 'commandbus' or spec.key not like '?%')
    left join pg_attribute as attribute
      on attribute.attrelid = pg_class.oid
     and attribute.attname = split_part(ltrim(definition, '?'), ' ', 1)
     and not attribute.attisdropped;

  select string_agg(distinct format('%s.%s%s', v_schema, v_prefix, item ->> 'table'), ', ')
           filter (where not (item ->> 'is_table_found')::boolean),
         string_agg(format('%s%s.%s (%s, expected %s)', v_prefix, item ->> 'table', item ->> 'name',
                           coalesce(item ->> 'found', 'missing'), item ->> 'type'), ', ')
           filter (where (item ->> 'is_table_found')::boolean)
    into v_missing, v_differing
    from jsonb_array_elements(v_columns) as item
   where not coalesce((item ->> 'fits')::boolean, (item ->> 'may_be_missing')::boolean);

  select string_agg(oid::regclass::text, ', ' order by relname)
    into v_not_tables
    from pg_class
   where relnamespace = v_schema::regnamespace
     and relkind in ('p', 'v', 'm', 'f')
     and relname in (select v_prefix || (item ->> 'table') from jsonb_array_elements(v_columns) as item);

  if v_schema = 'public' then
    if v_missing is not null then
      raise exception 'only a part of an old command bus is in public'
        using errcode = 'object_not_in_prerequisite_state',
              detail = format('Found: %s. Missing: %s.', v_found, v_missing),
              hint = 'Restore what is missing, or rename what is left, then start again.';
    elsif v_not_tables is not null then
      raise exception 'an old command bus can be adopted only if its tables are ordinary tables'
        using errcode = 'wrong_object_type',
              detail = format('Found something else: %s.', v_not_tables),
              hint = 'Put the rows into ordinary tables of these names, then start again.';
    elsif v_differing is not null then
      raise exception 'the old tables in public are not those of a command bus'
        using errcode = 'datatype_mismatch',
              detail = format('Found: %s.', v_differing),
              hint = 'Give the columns the expected types, or rename the tables if they belong to '
                     'something else, then start again.';
    end if;
  else
    select string_agg(object, ', ' order by object)
      into v_further
      from (
        select format('table %s', oid::regclass) as object
          from pg_class
         where relnamespace = v_schema::regnamespace
           and relkind in ('r', 'p', 'f')
           and relname not in (select item ->> 'table' from jsonb_array_elements(v_columns) as item)
        union all
        select format('column %s.%s.%s', v_schema, relname, attname)
          from pg_class
          join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
         where relnamespace = v_schema::regnamespace
           and relname in (select item ->> 'table' from jsonb_array_elements(v_columns) as item)
           and not exists (select
                             from jsonb_array_elements(v_columns) as item
                            where item ->> 'table' = relname and item ->> 'name' = attname)
        union all
        select format('type %s', format_type(pg_type.oid, null))
          from pg_type
          left join pg_class on pg_class.oid = typrelid
         where typnamespace = v_schema::regnamespace
           and typtype in ('c', 'd', 'e', 'r')
           and coalesce(relkind, 'c') = 'c'
        union all
        -- This migration needs the name.
        select format('view %s', oid::regclass)
          from pg_class
         where relnamespace = v_schema::regnamespace
           and relname = 'batch_progress'
           and relkind in ('v', 'm')
      ) as further;

    if coalesce(v_missing, v_not_tables, v_differing, v_further) is not null then
      raise exception 'the schema commandbus exists, and is not one that can be adopted'
        using errcode = 'duplicate_schema',
              detail = format('Found in commandbus: %s.', v_found)
                || coalesce(' Missing: ' || v_missing || '.', '')
                || coalesce(' Not an ordinary table: ' || v_not_tables || '.', '')
                || coalesce(' Not as expected: ' || v_differing || '.', '')
                || coalesce(' Unknown: ' || v_further || '.', ''),
              hint = 'Nothing was changed. docs/use/from-flyway.md lists the schemas that can be '
                     'adopted. If yours should be one of them, send this message to the maintainers '
                     'of commandbus-db; meanwhile, give the service a database of its own.';
    end if;
  end if;

  -- Adoption takes the owner's rights. Afterwards everything belongs to the migrating role, because
  -- foreign keys are checked with the rights of their table's owner.
  select string_agg(format('%s of %s', object, owner), ', ' order by object), min(owner)
    into v_found, v_owner
    from (
      select format('%s.%s', v_schema, relname) as object, pg_get_userbyid(relowner) as owner
        from pg_class
       where relnamespace = v_schema::regnamespace
         and relname in (select v_prefix || (item ->> 'table') from jsonb_array_elements(v_columns) as item)
         and not pg_has_role(relowner, 'usage')
      union all
      select 'schema commandbus', pg_get_userbyid(nspowner)
        from pg_namespace
       where oid = to_regnamespace('commandbus') and not pg_has_role(nspowner, 'usage')
      union all
      select oid::regprocedure::text, pg_get_userbyid(proowner)
        from pg_proc
       where v_schema = 'commandbus'
         and pronamespace = v_schema::regnamespace
         and format('%s(%s)', proname, oidvectortypes(proargtypes)) = any (v_functions)
         and not pg_has_role(proowner, 'usage')
    ) as foreign_object;

  if v_found is not null then
    raise exception 'role % may not adopt the command bus: it does not have the rights of %',
      current_user, v_owner
      using errcode = 'insufficient_privilege',
            detail = format('Found: %s.', v_found),
            hint = format('As a superuser: grant %1$I to %2$I%3$s; it can be revoked afterwards. '
                          'Or make %2$I the owner of these objects.',
              v_owner, current_user,
              case when current_setting('server_version_num')::int >= 160000
                   then ' with inherit true' else '' end);
  end if;

  if v_schema = 'public' and to_regclass('public.command_bus_batch') is null and exists (
    select from pg_attribute
     where attrelid = to_regclass('public.command_bus_command') and attname = 'batch_id' and not attisdropped
  ) then
    execute 'select exists (select from public.command_bus_command where batch_id is not null)'
      into v_orphans;
    if v_orphans then
      raise exception 'only a part of an old command bus is in public'
        using errcode = 'object_not_in_prerequisite_state',
              detail = 'Commands name batches, and public.command_bus_batch is missing.',
              hint = 'Restore the table, or set batch_id of those commands to null, then start again.';
    end if;
  end if;

  -- Views, functions and triggers of other names stay as they are, and are reported.
  select string_agg(object, ', ' order by object)
    into v_further
    from (
      select format('%s %s', case relkind when 'S' then 'sequence' else 'view' end, oid::regclass) as object
        from pg_class
       where v_schema = 'commandbus'
         and relnamespace = v_schema::regnamespace
         and (relkind in ('v', 'm')
              or relkind = 'S' and not exists (
                select from pg_depend
                 where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype in ('a', 'i')))
      union all
      select format('function %s', oid::regprocedure)
        from pg_proc
       where v_schema = 'commandbus'
         and pronamespace = v_schema::regnamespace
         and format('%s(%s)', proname, oidvectortypes(proargtypes)) <> all (v_functions)
      union all
      select format('trigger %I on %s', tgname, tgrelid::regclass)
        from pg_trigger
        join pg_class on pg_class.oid = tgrelid
       where relnamespace = v_schema::regnamespace
         and relname in (select v_prefix || (item ->> 'table') from jsonb_array_elements(v_columns) as item)
         and not tgisinternal
    ) as further;

  perform set_config('adoption.further', coalesce(v_further, ''), true),
          set_config('adoption.origin', v_schema, true),
          set_config('adoption.schema', 'commandbus', true),
          set_config('adoption.columns', v_columns::text, true),
          set_config('adoption.tables', array(
            select pg_class.oid
              from pg_class
             where relnamespace = v_schema::regnamespace
               and relname in (select v_prefix || (item ->> 'table') from jsonb_array_elements(v_columns) as item)
          )::text, true),
          set_config('adoption.functions', array(
            select pg_proc.oid
              from pg_proc
             where pronamespace = v_schema::regnamespace
               and format('%s(%s)', proname, oidvectortypes(proargtypes)) = any (v_functions)
          )::text, true);
end;
$$;
--! EndIncluded commandbus/adoption/recognize.sql
--! Included commandbus/pgmq.sql
-- PGMQ may be installed as an extension or as plain SQL. If it is neither, create the extension.
do $$
declare
  v_missing text;
  v_columns name[];
begin
  if not exists (select from pg_catalog.pg_extension where extname = 'pgmq')
     and to_regprocedure('pgmq.send(text, jsonb)') is null then
    if not exists (select from pg_catalog.pg_available_extensions where name = 'pgmq') then
      raise exception 'PGMQ is missing: this server has no extension pgmq, and the database has no schema pgmq with its functions'
        using errcode = 'feature_not_supported',
              hint = 'Use an image that has it (ghcr.io/pgmq/pg17-pgmq), install the extension on the server, or run PGMQ''s pgmq.sql in this database; then migrate again.';
    end if;

    begin
      create extension pgmq;
    exception when others then
      raise exception 'PGMQ is missing, and creating the extension failed: %', sqlerrm
        using errcode = sqlstate,
              hint = 'Have an administrator run "create extension pgmq" in this database (an existing schema pgmq may have to be dropped first); then migrate again.';
    end;
  end if;

  select string_agg(needed.name, ', ' order by needed.name)
    into v_missing
    from unnest(array['create', 'send', 'send_batch', 'read', 'delete', 'archive', 'set_vt'])
           as needed (name)
   where not exists (select
                       from pg_catalog.pg_proc
                       join pg_catalog.pg_namespace on pg_namespace.oid = pg_proc.pronamespace
                      where pg_namespace.nspname = 'pgmq'
                        and pg_proc.proname = needed.name);

  if v_missing is not null then
    raise exception 'PGMQ is incomplete: the schema pgmq lacks %', v_missing
      using errcode = 'feature_not_supported',
            hint = 'Install PGMQ 1.5 or later, as an extension or as plain SQL; then migrate again.';
  end if;

  -- The order depends on the version that is installed in this database, not on the server's.
  select array_agg(pg_attribute.attname order by pg_attribute.attnum)
    into v_columns
    from (
      select pg_type.typrelid
        from pg_catalog.pg_proc
        join pg_catalog.pg_namespace on pg_namespace.oid = pg_proc.pronamespace
        join pg_catalog.pg_type on pg_type.oid = pg_proc.prorettype
       where pg_namespace.nspname = 'pgmq'
         and pg_proc.proname = 'read'
       order by pg_proc.pronargs
       limit 1
    ) as result
    join pg_catalog.pg_attribute on pg_attribute.attrelid = result.typrelid
     and pg_attribute.attnum > 0
     and not pg_attribute.attisdropped;

  if array_position(v_columns, 'last_read_at') < array_position(v_columns, 'vt') then
    raise warning 'pgmq.read returns last_read_at before vt (%), as PGMQ does from 1.10 on. The command bus''s released Python clients (0.1.0 to 0.2.2) read the columns by position and leave commands PENDING',
      array_to_string(v_columns, ', ')
      using hint = 'Let the application name the columns, or use an image with PGMQ 1.9 or earlier, such as ghcr.io/pgmq/pg17-pgmq:v1.6.1.';
  end if;
end;
$$;
--! EndIncluded commandbus/pgmq.sql

create schema if not exists commandbus;
comment on schema commandbus is
  'The command bus: commands sent through PGMQ queues, their audit trail, and their batches.';

-- Adoption, first half: prepares existing tables, so that the statements below find them.
--! Included commandbus/adoption/lock_tables.sql
-- Locks the tables to adopt, before anything of them changes.
do $$
declare
  v_tables   constant regclass[] := current_setting('adoption.tables')::oid[]::regclass[];
  v_timeout  constant text := current_setting('lock_timeout');
  v_holders  text;
begin
  if v_tables = '{}' then
    return;
  end if;

  -- Open transactions may finish, but not for long: every other session queues behind this lock.
  begin
    perform set_config('lock_timeout', case v_timeout when '0' then '10s' else v_timeout end, true);
    execute format('lock table %s in access exclusive mode', array_to_string(v_tables, ', '));
    perform set_config('lock_timeout', v_timeout, true);
  exception when lock_not_available then
    select string_agg(distinct format('pid %s (%s)', pid, coalesce(nullif(application_name, ''), usename)), ', ')
      into v_holders
      from pg_locks
      join pg_stat_activity using (pid)
     where relation = any (v_tables) and granted and pid <> pg_backend_pid();
    raise exception 'the tables to adopt are in use'
      using errcode = 'lock_not_available',
            detail = format('Open transactions that use them: %s.', v_holders),
            hint = 'Stop the clients, or wait until these transactions have ended; then start again.';
  end;

  -- Silences "already exists, skipping" for the statements below.
  perform set_config('client_min_messages', 'warning', true);
end;
$$;
--! EndIncluded commandbus/adoption/lock_tables.sql
--! Included commandbus/adoption/move_tables.sql
-- Moves the tables of an old command bus from public to commandbus, under their new names: no row is
-- copied or rewritten, and what depends on a table follows it.
do $$
declare
  v_table name;
begin
  if current_setting('adoption.origin') <> 'public' then
    return;
  end if;

  for v_table in
    select relname from pg_class where oid = any (current_setting('adoption.tables')::oid[])
  loop
    execute format('alter table public.%I set schema commandbus', v_table);
    execute format('alter table commandbus.%I rename to %I', v_table, replace(v_table, 'command_bus_', ''));
  end loop;
end;
$$;
--! EndIncluded commandbus/adoption/move_tables.sql
--! Included commandbus/adoption/take_over.sql
-- Makes the migrating role the owner of what was adopted. A former owner keeps the rights that it had.
do $$
declare
  v_object record;
begin
  for v_object in
    select object.name, owner::regrole::text as owner,
           (select string_agg(privilege_type, ', ') from aclexplode(acl) where grantee = owner) as rights
      from (
        select 1 as place, format('schema %I', nspname) as name, nspowner as owner,
               coalesce(nspacl, acldefault('n', nspowner)) as acl
          from pg_namespace
         where current_setting('adoption.tables') <> '{}'
           and nspname = current_setting('adoption.schema')
        union all
        select 2, format('table %s', oid::regclass), relowner, coalesce(relacl, acldefault('r', relowner))
          from pg_class
         where oid = any (current_setting('adoption.tables')::oid[])
        union all
        select 3, format('function %s', oid::regprocedure), proowner,
               coalesce(proacl, acldefault('f', proowner))
          from pg_proc
         where oid = any (current_setting('adoption.functions')::oid[])
           and pronamespace = to_regnamespace(current_setting('adoption.schema'))
      ) as object
     where owner <> quote_ident(current_user)::regrole
     order by place, name
  loop
    execute format('alter %s owner to current_user', v_object.name);

    if v_object.rights is not null then
      execute format('grant %s on %s to %s', v_object.rights, v_object.name, v_object.owner);
    end if;
  end loop;
end;
$$;
--! EndIncluded commandbus/adoption/take_over.sql
--! Included commandbus/adoption/order_columns.sql
-- Puts batch.failed_count and batch.batch_type where a new database has them: last, in this order.
-- Different releases added them in different orders, and PostgreSQL cannot move a column. So a column
-- in the wrong place is added again at the end, which writes no row, filled in the few rows that do
-- not hold its default, and removed in its old place. Views, indexes and grants are carried over.
do $$
declare
  v_batch       constant regclass := to_regclass('commandbus.batch');
  v_base        int;
  v_failed      int;
  v_type        int;
  v_moved       text[] := '{}';
  v_views       jsonb;
  v_indexes     text[];
  v_grants      text[];
  v_dependents  text;
  v_column      record;
  v_view        record;
  v_statement   text;
begin
  if current_setting('adoption.origin') = 'none' or v_batch is null then
    return;
  end if;

  select max(attnum) filter (where attname = 'completed_at'),
         max(attnum) filter (where attname = 'failed_count'),
         max(attnum) filter (where attname = 'batch_type')
    into v_base, v_failed, v_type
    from pg_attribute
   where attrelid = v_batch;

  if v_failed < v_base then
    v_moved := v_moved || 'failed_count'::text;
  end if;

  if v_type < v_base or v_type < v_failed or v_failed < v_base or v_failed is null and v_type is not null then
    v_moved := v_moved || 'batch_type'::text;
  end if;

  -- What depends on the columns that move: views and indexes follow, anything else is in the way.
  select string_agg(distinct coalesce(ev_class::regclass::text, pg_describe_object(classid, objid, objsubid)), ', ')
           filter (where not coalesce(pg_class.relkind = 'v', index.relkind = 'i', false)),
         jsonb_agg(distinct jsonb_build_object(
           'name', ev_class::regclass::text,
           'options', coalesce('with (' || array_to_string(pg_class.reloptions, ', ') || ')', ''),
           'definition', pg_get_viewdef(ev_class)))
           filter (where pg_class.relkind = 'v'),
         array_agg(distinct pg_get_indexdef(index.oid)) filter (where index.relkind = 'i')
    into v_dependents, v_views, v_indexes
    from pg_attribute
    join pg_depend on refclassid = 'pg_class'::regclass and refobjid = attrelid and refobjsubid = attnum
    left join pg_rewrite on classid = 'pg_rewrite'::regclass and pg_rewrite.oid = objid
    left join pg_class on pg_class.oid = ev_class
    left join pg_class as index on classid = 'pg_class'::regclass and index.oid = objid
    left join pg_constraint on classid = 'pg_constraint'::regclass and pg_constraint.oid = objid
   where attrelid = v_batch
     and attname = any (v_moved)
     and classid <> 'pg_attrdef'::regclass
     and contype is distinct from 'n';

  if v_dependents is not null then
    raise exception 'another object depends on a column of commandbus.batch that has to move'
      using errcode = 'dependent_objects_still_exist',
            detail = format('Columns: %s. Found: %s.', array_to_string(v_moved, ', '), v_dependents),
            hint = 'Save the definition of each, remove it, and start again; recreate it when the '
                   'database is ready.';
  end if;

  select array_agg(format('grant %s (%I) on commandbus.batch to %s', privilege_type, attname,
           case grantee when 0 then 'public' else grantee::regrole::text end))
    into v_grants
    from pg_attribute
    cross join aclexplode(attacl)
   where attrelid = v_batch and attname = any (v_moved);

  for v_column in
    select *
      from (values ('failed_count', 'int', '0', v_failed),
                   ('batch_type', 'text', quote_literal('COMMAND'), v_type)) as spec (name, type, value, place)
  loop
    continue when v_column.place is not null and v_column.name <> all (v_moved);

    if v_column.place is not null then
      execute format('alter table commandbus.batch rename column %1$I to %1$s_moved', v_column.name);
      -- Frees the name of its constraint, where it has one.
      execute format('alter table commandbus.batch alter column %s_moved drop not null', v_column.name);
    end if;

    execute format('alter table commandbus.batch add column %I %s not null default %s',
                   v_column.name, v_column.type, v_column.value);

    if v_column.place is not null then
      execute format('update commandbus.batch set %1$I = %1$s_moved where %1$s_moved <> %2$s',
                     v_column.name, v_column.value);
    end if;
  end loop;

  -- Replaced under their own definitions, views read the new columns.
  for v_view in
    select * from jsonb_to_recordset(v_views) as view (name text, options text, definition text)
  loop
    execute format('create or replace view %s %s as %s', v_view.name, v_view.options, v_view.definition);
  end loop;

  foreach v_statement in array
    array(select format('alter table commandbus.batch drop column %s_moved', name) from unnest(v_moved) as name)
      || v_indexes || v_grants
  loop
    execute v_statement;
  end loop;
end;
$$;
--! EndIncluded commandbus/adoption/order_columns.sql
--! Included commandbus/adoption/align_columns.sql
-- Gives the adopted tables the columns of a new database: adds the missing ones, and sets types,
-- defaults and "not null". No table is rewritten: an added column has its value as a default, and a
-- varchar is stored like a text.
do $$
declare
  v_schema   constant text := current_setting('adoption.schema');
  v_readers  text;
  v_column   record;
  v_nulls    bigint;
begin
  if current_setting('adoption.tables') = '{}' then
    return;
  end if;

  select string_agg(distinct format('%s (%s.%s)', ev_class::regclass, attrelid::regclass, attname), ', ')
    into v_readers
    from jsonb_array_elements(current_setting('adoption.columns')::jsonb) as item
    join pg_attribute
      on attrelid = to_regclass(format('%I.%I', v_schema, item ->> 'table')) and attname = item ->> 'name'
    join pg_depend
      on refclassid = 'pg_class'::regclass and refobjid = attrelid and refobjsubid = attnum
    join pg_rewrite on classid = 'pg_rewrite'::regclass and pg_rewrite.oid = objid
   where atttypid <> to_regtype(item ->> 'type');

  if v_readers is not null then
    raise exception 'a view reads a column whose type has to change to text'
      using errcode = 'dependent_objects_still_exist',
            detail = format('Views, with the columns: %s.', v_readers),
            hint = 'Save the definition of each (select pg_get_viewdef(''name'')), remove the view, and '
                   'start again; recreate it when the database is ready.';
  end if;

  for v_column in
    select format('%I.%I', v_schema, relname) as of_table, item ->> 'name' as name, item ->> 'type' as type,
           item ->> 'default' as default, (item ->> 'not_null')::boolean as not_null,
           atttypid <> to_regtype(item ->> 'type') as has_other_type,
           attnotnull, pg_get_expr(adbin, adrelid) as current_default
      from jsonb_array_elements(current_setting('adoption.columns')::jsonb)
             with ordinality as expected (item, position)
      join pg_class on pg_class.oid = to_regclass(format('%I.%I', v_schema, item ->> 'table'))
      left join pg_attribute
        on attrelid = pg_class.oid and attname = item ->> 'name' and not attisdropped
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
     order by position
  loop
    if v_column.attnotnull is null then
      execute format('alter table %s add column %I %s %s %s', v_column.of_table, v_column.name,
        v_column.type, case when v_column.not_null then 'not null' end, 'default ' || v_column.default);
      continue;
    end if;

    if v_column.has_other_type then
      execute format('alter table %s alter column %I type %s',
        v_column.of_table, v_column.name, v_column.type);
    end if;

    if v_column.default is not null then
      execute format('alter table %s alter column %I set default %s',
        v_column.of_table, v_column.name, v_column.default);
    elsif v_column.current_default not like 'nextval(%' then
      execute format('alter table %s alter column %I drop default', v_column.of_table, v_column.name);
    end if;

    if v_column.attnotnull and not v_column.not_null then
      execute format('alter table %s alter column %I drop not null', v_column.of_table, v_column.name);
    elsif v_column.not_null and not v_column.attnotnull then
      -- A null gets the default. Without one, "set not null" says which column is in the way.
      execute format('update %s set %I = %s where %2$I is null', v_column.of_table, v_column.name,
        coalesce(v_column.default, 'null'));
      get diagnostics v_nulls = row_count;
      execute format('alter table %s alter column %I set not null', v_column.of_table, v_column.name);

      if v_nulls > 0 then
        raise warning 'adoption: % rows of % had no %, and have its default now',
          v_nulls, v_column.of_table, v_column.name;
      end if;
    end if;
  end loop;
end;
$$;
--! EndIncluded commandbus/adoption/align_columns.sql
--! Included commandbus/adoption/add_marks.sql
-- Adds this schema's own columns to adopted tables.
do $$
begin
  if current_setting('adoption.origin') = 'none' then
    return;
  end if;

  if to_regclass('commandbus.batch') is not null then
    alter table commandbus.batch add column counter_rows smallint not null default 0;
  end if;

  -- The counters include the existing commands as their status says. A default of the moment says so for
  -- all of them; an update would write every row.
  alter table commandbus.command add column counted_as text default 'AS_STATUS';
  alter table commandbus.command alter column counted_as drop default;

  alter table commandbus.command add column finished_as text;
end;
$$;
--! EndIncluded commandbus/adoption/add_marks.sql
--! Included commandbus/adoption/rename_parts.sql
-- Gives the constraints, sequences and indexes of adopted tables the names of a new database. They are
-- recognized by what they are, whatever their names. The earlier schema's own indexes that a new
-- database does not have are removed: other indexes answer their queries. Indexes by other names stay.
do $$
declare
  v_indexes constant jsonb = $json${
    "batch_domain_status_idx":            "commandbus.batch USING btree (domain, status)",
    "batch_domain_created_at_idx":        "commandbus.batch USING btree (domain, created_at DESC)",
    "command_status_command_type_idx":    "commandbus.command USING btree (status, command_type)",
    "command_status_created_at_idx":      "commandbus.command USING btree (status, created_at DESC)",
    "command_updated_at_idx":             "commandbus.command USING btree (updated_at)",
    "command_domain_batch_id_idx":        "commandbus.command USING btree (domain, batch_id) WHERE (batch_id IS NOT NULL)",
    "command_correlation_id_idx":
      "commandbus.command USING btree (correlation_id) WHERE (status = 'IN_TROUBLESHOOTING_QUEUE'::text)",
    "audit_command_id_ts_idx":            "commandbus.audit USING btree (command_id, ts)",
    "process_domain_process_type_idx":    "commandbus.process USING btree (domain, process_type)",
    "process_domain_status_idx":          "commandbus.process USING btree (domain, status)",
    "process_created_at_idx":             "commandbus.process USING btree (created_at)",
    "process_batch_id_idx":               "commandbus.process USING btree (batch_id)",
    "process_batch_id_status_idx":        "commandbus.process USING btree (batch_id, status)",
    "process_audit_domain_process_id_idx": "commandbus.process_audit USING btree (domain, process_id)",
    "process_audit_command_id_idx":       "commandbus.process_audit USING btree (command_id)"
  }$json$;
  v_earlier constant name[] := array[
    'ix_batch_status', 'ix_batch_created', 'uq_command_domain_cmdid', 'ix_command_status_type',
    'ix_command_status_created', 'ix_command_updated', 'ix_command_batch', 'ix_command_batch_status',
    'ix_audit_cmdid_ts', 'idx_process_type', 'idx_process_status', 'idx_process_created',
    'ix_process_batch_id', 'ix_process_batch_status', 'idx_process_audit_process',
    'idx_process_audit_command'
  ];
  v_change  text;
  v_part    record;
begin
  if current_setting('adoption.origin') = 'none' then
    return;
  end if;

  -- A unique index becomes a constraint; an existing constraint is renamed.
  select case
           when conname is null then
             format('add constraint command_domain_command_id_key unique using index %I', relname)
           when conname <> 'command_domain_command_id_key' then
             format('rename constraint %I to command_domain_command_id_key', conname)
           else ''
         end
    into v_change
    from pg_index
    join pg_class on pg_class.oid = indexrelid
    left join pg_constraint on conindid = indexrelid and conrelid = indrelid
   where indrelid = 'commandbus.command'::regclass
     and indisunique
     and pg_get_indexdef(indexrelid) like '% USING btree (domain, command_id)'
   order by conname
   limit 1;

  v_change := coalesce(v_change, 'add constraint command_domain_command_id_key unique (domain, command_id)');

  if v_change <> '' then
    execute 'alter table commandbus.command ' || v_change;
  end if;

  for v_part in
    select format('alter table %s rename constraint %I to', conrelid::regclass, conname) as statement,
           replace(conname, 'command_bus_', '') as name
      from pg_constraint
     where connamespace = 'commandbus'::regnamespace and strpos(conname, 'command_bus_') > 0
     union all
    select format('alter table %s rename constraint %I to', conrelid::regclass, conname),
           'process_audit_belongs_to_a_process'
      from pg_constraint
     where conrelid = to_regclass('commandbus.process_audit')
       and pg_get_constraintdef(oid) =
           'FOREIGN KEY (domain, process_id) REFERENCES commandbus.process(domain, process_id)'
       and conname <> 'process_audit_belongs_to_a_process'
     union all
    select format('alter sequence %s rename to', pg_get_serial_sequence('commandbus.audit', 'audit_id')),
           'audit_audit_id_seq'
  loop
    continue when to_regclass(format('commandbus.%I', v_part.name)) is not null;
    execute format('%s %I', v_part.statement, v_part.name);
  end loop;

  -- An index that has a new index's name and is another one gives the name up.
  for v_part in
    select indexrelid::regclass as index, relname || '_before_adoption' as name
      from pg_index
      join pg_class on pg_class.oid = indexrelid
     where relnamespace = 'commandbus'::regnamespace
       and v_indexes ->> relname <> split_part(pg_get_indexdef(indexrelid), ' ON ', 2)
  loop
    execute format('alter index %s rename to %I', v_part.index, v_part.name);
  end loop;

  for v_part in
    select index, name
      from jsonb_each_text(v_indexes) as spec (name, definition)
      cross join lateral (
        select min(indexrelid)::regclass as index
          from pg_index
         where indrelid = to_regclass(split_part(definition, ' ', 1))
           and split_part(pg_get_indexdef(indexrelid), ' ON ', 2) = definition
      ) as found
     where index is not null and to_regclass('commandbus.' || name) is null
  loop
    execute format('alter index %s rename to %I', v_part.index, v_part.name);
  end loop;

  for v_part in
    select case when relname = any (v_earlier) then format('drop index %s', indexrelid::regclass)
                else format('alter index %s rename to %I', indexrelid::regclass,
                            replace(relname, 'command_bus_', '')) end as statement
      from pg_index
      join pg_class on pg_class.oid = indexrelid
     where relnamespace = 'commandbus'::regnamespace
       and (relname = any (v_earlier)
            or strpos(relname, 'command_bus_') > 0
               and to_regclass(format('commandbus.%I', replace(relname, 'command_bus_', ''))) is null)
  loop
    execute v_part.statement;
  end loop;

  perform set_config('adoption.indexes', coalesce(string_agg(format('index %s', indexrelid::regclass), ', '
            order by relname), ''), true)
     from pg_index
     join pg_class on pg_class.oid = indexrelid
    where relnamespace = 'commandbus'::regnamespace
      and not v_indexes ? relname
      and not exists (select from pg_constraint where conindid = indexrelid);
end;
$$;
--! EndIncluded commandbus/adoption/rename_parts.sql
--! Included commandbus/adoption/drop_procedures.sql
-- Removes the functions that this migration cannot replace: those in public name tables that no longer
-- exist, and sp_refresh_batch_stats returns something else. Overloads of other signatures stay.
do $$
declare
  v_functions text;
  v_owner     name;
  v_detail    text;
begin
  select string_agg(oid::regprocedure::text, ', '),
         min(pg_get_userbyid(proowner)) filter (where not pg_has_role(proowner, 'usage'))
    into v_functions, v_owner
    from pg_proc
   where oid = any (current_setting('adoption.functions')::oid[])
     and (pronamespace <> 'commandbus'::regnamespace
          or proname = 'sp_refresh_batch_stats'
          -- Calls with eight arguments would be ambiguous.
          or proname = 'sp_finish_command' and pronargs = 8);

  if v_functions is null then
    return;
  end if;

  execute format('drop function %s', v_functions);
exception
when insufficient_privilege then
  raise exception 'role % may not remove the old procedures: it does not have the rights of %', current_user, v_owner
    using errcode = 'insufficient_privilege',
          hint = format('As a superuser: grant %I to %I; it can be revoked afterwards.', v_owner, current_user);
when dependent_objects_still_exist then
  get stacked diagnostics v_detail = pg_exception_detail;
  raise exception 'another object depends on an old procedure, which has to be removed'
    using errcode = 'dependent_objects_still_exist',
          detail = v_detail,
          hint = 'Remove the dependent object and start again; recreate it on the function in commandbus.';
end;
$$;
--! EndIncluded commandbus/adoption/drop_procedures.sql

create table if not exists commandbus.batch (
  domain                    text         not null,
  batch_id                  uuid         not null,
  name                      text,
  custom_data               jsonb,
  status                    text         not null default 'PENDING',
  total_count               int          not null default 0,
  completed_count           int          not null default 0,
  canceled_count            int          not null default 0,
  in_troubleshooting_count  int          not null default 0,
  created_at                timestamptz  not null default now(),
  started_at                timestamptz,
  completed_at              timestamptz,
  failed_count              int          not null default 0,
  batch_type                text         not null default 'COMMAND',
  counter_rows              smallint     not null default 0,

  primary key (domain, batch_id),
  constraint batch_status_is_known
    check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'COMPLETED_WITH_FAILURES')),
  constraint batch_type_is_known
    check (batch_type in ('COMMAND', 'PROCESS')),
  constraint batch_counts_are_not_negative
    check (completed_count >= 0 and canceled_count >= 0 and failed_count >= 0
           and in_troubleshooting_count >= 0),
  constraint batch_counts_do_not_exceed_total
    check (completed_count + canceled_count + failed_count + in_troubleshooting_count
           <= total_count)
);

-- Each finish in a small batch updates the batch's row; free space keeps these updates on the same
-- page (HOT).
alter table commandbus.batch set (fillfactor = 50);

-- Lists batches by status.
create index if not exists batch_domain_status_idx
  on commandbus.batch (domain, status);
-- Lists the newest batches.
create index if not exists batch_domain_created_at_idx
  on commandbus.batch (domain, created_at desc);

comment on table commandbus.batch is
  'A group of commands or processes that is tracked as a whole; the client runs a callback when it completes.';
comment on column commandbus.batch.domain is 'The domain of its commands or processes.';
comment on column commandbus.batch.batch_id is 'Chosen by the client; unique within the domain.';
comment on column commandbus.batch.name is 'A name for people to read.';
comment on column commandbus.batch.custom_data is 'Belongs to the client; no function reads it.';
comment on column commandbus.batch.status is
  'PENDING, IN_PROGRESS, then COMPLETED, or COMPLETED_WITH_FAILURES if any was canceled or failed.';
comment on column commandbus.batch.total_count is
  'The number of commands or processes that the client announced; final from the insert.';
comment on column commandbus.batch.completed_count is
  'How many completed. While a large batch runs, this lags; view commandbus.batch_progress is exact.';
comment on column commandbus.batch.canceled_count is
  'How many were canceled; in a PROCESS batch also those that failed.';
comment on column commandbus.batch.in_troubleshooting_count is
  'How many wait for an operator in the troubleshooting queue.';
comment on column commandbus.batch.created_at is 'When the client created the batch.';
comment on column commandbus.batch.started_at is 'When the batch became IN_PROGRESS.';
comment on column commandbus.batch.completed_at is 'When the batch completed.';
comment on column commandbus.batch.failed_count is
  'How many commands a business rule rejected; always 0 in a PROCESS batch.';
comment on column commandbus.batch.batch_type is
  'COMMAND: functions count its commands as they finish. PROCESS: sp_refresh_batch_stats() counts its processes.';
comment on column commandbus.batch.counter_rows is
  'The number of its rows in commandbus.batch_counter; 0 if the batch counts in its own row.';

create table if not exists commandbus.batch_counter (
  domain      text      not null,
  batch_id    uuid      not null,
  counter_no  smallint  not null,
  quota       int       not null,
  completed   int       not null default 0,
  unreported  int       not null default 0,

  primary key (domain, batch_id, counter_no),
  -- The counting statements keep unreported <= completed <= quota. Check constraints would make
  -- counting a finish in a large batch a quarter slower.
  constraint counter_belongs_to_a_batch
    foreign key (domain, batch_id) references commandbus.batch on delete cascade
)
-- Every update stays on its page (HOT).
with (fillfactor = 50);

comment on table commandbus.batch_counter is
  'Counts the completed commands of a large batch in 16 rows, so that workers do not wait for each other.';
comment on column commandbus.batch_counter.domain is 'The batch''s domain.';
comment on column commandbus.batch_counter.batch_id is 'The batch.';
comment on column commandbus.batch_counter.counter_no is
  'This row counts the commands for which commandbus.counter_no(command_id) returns this number.';
comment on column commandbus.batch_counter.quota is
  'How many commands this row counts; the batch''s own row counts the rest.';
comment on column commandbus.batch_counter.completed is 'How many of them it has counted so far.';
comment on column commandbus.batch_counter.unreported is
  'How many of those it has yet to add to the batch''s own row.';

create table if not exists commandbus.command (
  domain            text         not null,
  queue_name        text         not null,
  msg_id            bigint,
  command_id        uuid         not null,
  command_type      text         not null,
  status            text         not null,
  attempts          int          not null default 0,
  max_attempts      int          not null,
  lease_expires_at  timestamptz,
  last_error_type   text,
  last_error_code   text,
  last_error_msg    text,
  created_at        timestamptz  not null default now(),
  updated_at        timestamptz  not null default now(),
  reply_queue       text         not null default '',
  correlation_id    uuid,
  batch_id          uuid,
  counted_as        text,
  finished_as       text,

  unique (domain, command_id),
  constraint command_status_is_known
    check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                      'IN_TROUBLESHOOTING_QUEUE')),
  constraint command_is_counted_as_final_or_in_troubleshooting
    check (counted_as in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE',
                          'AS_STATUS')),
  -- Clients delete commands before batches; a batch that still has commands stays.
  constraint command_belongs_to_a_batch_that_exists
    foreign key (domain, batch_id) references commandbus.batch on delete no action
);

-- Lists and counts commands by status and type.
create index if not exists command_status_command_type_idx
  on commandbus.command (status, command_type);
-- Lists the newest commands in a status.
create index if not exists command_status_created_at_idx
  on commandbus.command (status, created_at desc);
-- Finds recent changes, and commands that have not changed for long.
create index if not exists command_updated_at_idx
  on commandbus.command (updated_at);
-- Finds a batch's commands: to list them, to create its counter rows, to settle operators' changes.
create index if not exists command_domain_batch_id_idx
  on commandbus.command (domain, batch_id) where batch_id is not null;
-- Finds the processes whose commands wait for an operator.
create index if not exists command_correlation_id_idx
  on commandbus.command (correlation_id) where status = 'IN_TROUBLESHOOTING_QUEUE';

comment on table commandbus.command is
  'The state of each command; the payload travels in the queue''s message.';
comment on column commandbus.command.domain is 'The domain that the command is sent to.';
comment on column commandbus.command.queue_name is 'The queue that carries it.';
comment on column commandbus.command.msg_id is 'Its message in that queue; null if there is none.';
comment on column commandbus.command.command_id is 'Chosen by the client; unique within the domain.';
comment on column commandbus.command.command_type is 'Selects the handler.';
comment on column commandbus.command.status is
  'PENDING, IN_PROGRESS, IN_TROUBLESHOOTING_QUEUE; or final: COMPLETED, CANCELED, FAILED.';
comment on column commandbus.command.attempts is 'How often it has been received.';
comment on column commandbus.command.max_attempts is
  'After this many attempts it moves to the troubleshooting queue.';
comment on column commandbus.command.lease_expires_at is 'Belongs to the client; no function reads it.';
comment on column commandbus.command.last_error_type is 'Class of the last error.';
comment on column commandbus.command.last_error_code is 'Code of the last error.';
comment on column commandbus.command.last_error_msg is 'Message of the last error.';
comment on column commandbus.command.created_at is 'When it was sent.';
comment on column commandbus.command.updated_at is 'When its state last changed.';
comment on column commandbus.command.reply_queue is 'The queue for the reply; empty if none is wanted.';
comment on column commandbus.command.correlation_id is
  'Links request and reply; for a process''s command, the process_id.';
comment on column commandbus.command.batch_id is 'Its batch, if it belongs to one.';
comment on column commandbus.command.counted_as is
  'The status under which the batch''s counters include this command; null if they do not. AS_STATUS, on adopted rows only: as what its status says.';
comment on column commandbus.command.finished_as is
  'PENDING or IN_PROGRESS, if a finish set that since the last receive: a finish with the same status is then a duplicate.';

create table if not exists commandbus.audit (
  audit_id      bigserial    primary key,
  domain        text         not null,
  command_id    uuid         not null,
  event_type    text         not null,
  ts            timestamptz  not null default now(),
  details_json  jsonb
);

-- Finds the history of one command.
create index if not exists audit_command_id_ts_idx
  on commandbus.audit (command_id, ts);

comment on table commandbus.audit is
  'What happened to each command and batch. Append-only, except in tests.';
comment on column commandbus.audit.audit_id is 'Counts up.';
comment on column commandbus.audit.domain is 'The domain of the command or batch.';
comment on column commandbus.audit.command_id is 'The command; for batch events, the batch''s id.';
comment on column commandbus.audit.event_type is 'SENT, RECEIVED, and so on; clients add their own.';
comment on column commandbus.audit.ts is 'When the transaction began.';
comment on column commandbus.audit.details_json is 'Details, depending on the event type.';

create table if not exists commandbus.payload_archive (
  domain        text         not null,
  command_id    uuid         not null,
  payload_json  jsonb        not null,
  archived_at   timestamptz  not null default now(),

  primary key (domain, command_id)
);

comment on table commandbus.payload_archive is
  'Payloads that are kept after their messages are gone.';
comment on column commandbus.payload_archive.domain is 'The command''s domain.';
comment on column commandbus.payload_archive.command_id is 'The command.';
comment on column commandbus.payload_archive.payload_json is 'The message as it was sent.';
comment on column commandbus.payload_archive.archived_at is 'When it was archived.';

create table if not exists commandbus.process (
  domain          text         not null,
  process_id      uuid         not null,
  process_type    text         not null,
  status          text         not null default 'PENDING',
  current_step    text,
  state           jsonb        not null default '{}',
  error_code      text,
  error_message   text,
  created_at      timestamptz  not null default now(),
  updated_at      timestamptz  not null default now(),
  completed_at    timestamptz,
  -- No foreign key: clients insert a batch and its processes in separate transactions.
  batch_id        uuid,

  primary key (domain, process_id)
);

-- Lists processes by type.
create index if not exists process_domain_process_type_idx
  on commandbus.process (domain, process_type);
-- Lists processes by status.
create index if not exists process_domain_status_idx
  on commandbus.process (domain, status);
-- Lists the newest processes.
create index if not exists process_created_at_idx
  on commandbus.process (created_at);
-- Finds a batch's processes.
create index if not exists process_batch_id_idx
  on commandbus.process (batch_id);
-- Counts a batch's processes by status.
create index if not exists process_batch_id_status_idx
  on commandbus.process (batch_id, status);

comment on table commandbus.process is
  'State of the client''s process manager: one row for each process. Only the client writes it.';
comment on column commandbus.process.domain is 'The domain of the process.';
comment on column commandbus.process.process_id is 'Chosen by the client; the correlation_id of its commands.';
comment on column commandbus.process.process_type is 'Selects the client''s process definition.';
comment on column commandbus.process.status is
  'The client''s word: PENDING, WAITING, COMPLETED, COMPENSATING, COMPENSATED, CANCELED or another.';
comment on column commandbus.process.current_step is 'The step whose reply the process waits for.';
comment on column commandbus.process.state is 'The client''s data.';
comment on column commandbus.process.error_code is 'Code of the error that ended it.';
comment on column commandbus.process.error_message is 'Message of that error.';
comment on column commandbus.process.created_at is 'When the client created it.';
comment on column commandbus.process.updated_at is 'When the client last changed it.';
comment on column commandbus.process.completed_at is 'When it ended.';
comment on column commandbus.process.batch_id is 'Its batch of type PROCESS, if it belongs to one.';

create table if not exists commandbus.process_audit (
  id             bigserial    primary key,
  domain         text         not null,
  process_id     uuid         not null,
  step_name      text         not null,
  command_id     uuid         not null,
  command_type   text         not null,
  command_data   jsonb,
  sent_at        timestamptz  not null,
  reply_outcome  text,
  reply_data     jsonb,
  received_at    timestamptz,

  constraint process_audit_belongs_to_a_process
    foreign key (domain, process_id) references commandbus.process on delete no action
);

-- Finds the steps of one process.
create index if not exists process_audit_domain_process_id_idx
  on commandbus.process_audit (domain, process_id);
-- Finds the step that sent a command.
create index if not exists process_audit_command_id_idx
  on commandbus.process_audit (command_id);

comment on table commandbus.process_audit is
  'The commands that each process sent, and the replies. Only the client writes it.';
comment on column commandbus.process_audit.id is 'Counts up.';
comment on column commandbus.process_audit.domain is 'The domain of the process.';
comment on column commandbus.process_audit.process_id is 'The process.';
comment on column commandbus.process_audit.step_name is 'The step of the process.';
comment on column commandbus.process_audit.command_id is 'The command that the step sent.';
comment on column commandbus.process_audit.command_type is 'The command''s type.';
comment on column commandbus.process_audit.command_data is 'The command''s payload.';
comment on column commandbus.process_audit.sent_at is 'When the command was sent.';
comment on column commandbus.process_audit.reply_outcome is 'SUCCESS, FAILED or CANCELED; null until the reply arrives.';
comment on column commandbus.process_audit.reply_data is 'The reply''s content.';
comment on column commandbus.process_audit.received_at is 'When the reply arrived.';

create table if not exists commandbus.adoption_report (
  finding_id  bigserial    primary key,
  found_at    timestamptz  not null default now(),
  finding     text         not null,
  details     jsonb        not null
);

comment on table commandbus.adoption_report is
  'What adoption found in an existing command bus and changed; empty in a new database.';
comment on column commandbus.adoption_report.finding_id is 'Counts up.';
comment on column commandbus.adoption_report.found_at is 'When the database was adopted.';
comment on column commandbus.adoption_report.finding is 'What was found, and what was changed.';
comment on column commandbus.adoption_report.details is 'The rows concerned, with values before and after.';

-- Adoption, second half: the contents of existing tables, and their constraints.
--! Included commandbus/adoption/report.sql
-- Reports what was adopted, what it lacked, and which other objects stay.
do $$
declare
  v_origin    constant text := current_setting('adoption.origin');
  v_lacked    text;
  v_further   text;
begin
  if v_origin = 'none' then
    return;
  end if;

  select string_agg(distinct format('%s.%s', item ->> 'table', item ->> 'name'), ', ')
    into v_lacked
    from jsonb_array_elements(current_setting('adoption.columns')::jsonb) as item
   where item ->> 'found' is null;

  v_further := concat_ws(', ', nullif(current_setting('adoption.further'), ''),
                               nullif(current_setting('adoption.indexes'), ''));

  -- Adoption silences the notices of its other statements.
  perform set_config('client_min_messages', 'notice', true);
  raise notice 'adoption: took over the command bus in the schema %; columns that it lacked: %',
    v_origin, coalesce(v_lacked, 'none');

  if v_further <> '' then
    insert into commandbus.adoption_report (finding, details)
    values ('Objects that do not belong to the command bus stay in its schema or on its tables.',
            jsonb_build_object('objects', string_to_array(v_further, ', ')));
    raise notice 'adoption: objects that do not belong to the command bus stay as they are: %', v_further;
  end if;

  perform set_config('client_min_messages', 'warning', true);
end;
$$;
--! EndIncluded commandbus/adoption/report.sql
--! Included commandbus/adoption/counters.sql
-- Recounts the batches from their commands or processes, by the rules of the functions, and reports what
-- changed. A complete batch with fewer rows left than it announced was purged, and keeps its counters.
do $$
declare
  v_changed   bigint;
  v_examples  text;
begin
  if current_setting('adoption.origin') = 'none' then
    return;
  end if;

  -- An ordinary table, dropped below: a temporary one would need one more privilege.
  create table commandbus.recount as
  with present as (
    select domain, batch_id, false as of_processes, false as has_started,
           count(*)                                                     as number,
           count(*) filter (where status = 'COMPLETED')                 as completed,
           count(*) filter (where status = 'CANCELED')                  as canceled,
           count(*) filter (where status = 'FAILED')                    as failed,
           count(*) filter (where status = 'IN_TROUBLESHOOTING_QUEUE')  as in_troubleshooting
      from commandbus.command
     where batch_id is not null
     group by domain, batch_id
     union all
    select domain, batch_id, true,
           bool_or(status <> 'PENDING'),
           count(*),
           count(*) filter (where status in ('COMPLETED', 'COMPENSATED')),
           count(*) filter (where status in ('CANCELED', 'FAILED')),
           0,
           count(*) filter (where status not in ('COMPLETED', 'COMPENSATED', 'CANCELED', 'FAILED')
                              and exists (select
                                            from commandbus.command
                                           where command.correlation_id = process.process_id
                                             and command.status = 'IN_TROUBLESHOOTING_QUEUE'))
      from commandbus.process
     where batch_id is not null
     group by domain, batch_id
  ),
  judged as (
    select batch.*,
           greatest(batch.total_count, 0) as bound,
           batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES') as was_complete,
           batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES')
             and coalesce(present.number, 0) < batch.total_count as was_purged,
           -- With more commands than announced, counting stopped at total_count, in an unknown order.
           batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES')
             and coalesce(present.number, 0) > batch.total_count
             and batch.completed_count + batch.canceled_count + batch.failed_count = batch.total_count
             and least(batch.completed_count, batch.canceled_count, batch.failed_count) >= 0 as was_full,
           coalesce(present.number, 0) as present,
           coalesce(present.completed + present.canceled + present.failed + present.in_troubleshooting, 0)
             as present_counted,
           coalesce(present.has_started, false) as has_started,
           present.completed as present_completed,
           present.canceled as present_canceled,
           present.failed as present_failed,
           present.in_troubleshooting as present_in_troubleshooting
      from commandbus.batch
      left join present
        on present.domain = batch.domain
       and present.batch_id = batch.batch_id
       and present.of_processes = (batch.batch_type = 'PROCESS')
  ),
  counted as (
    select judged.*, fourth.*,
           was_purged or was_full
             or bound > 0 and fourth.completed + fourth.canceled + fourth.failed = bound as is_complete
      from judged
      cross join lateral (
        select case when was_purged or was_full then completed_count else present_completed end as completed,
               case when was_purged or was_full then failed_count else present_failed end as failed,
               case when was_purged or was_full
                    then greatest(canceled_count, 0) + greatest(in_troubleshooting_count, 0)
                    else present_canceled end as canceled,
               case when was_purged or was_full then 0 else present_in_troubleshooting end as in_troubleshooting
      ) as found
      -- No counter is negative, and their sum does not exceed total_count.
      cross join lateral (
        select least(greatest(coalesce(found.completed, 0), 0), bound) as completed
      ) as first
      cross join lateral (
        select first.completed,
               least(greatest(coalesce(found.failed, 0), 0), bound - first.completed) as failed
      ) as second
      cross join lateral (
        select second.*,
               least(coalesce(found.canceled, 0), bound - second.completed - second.failed) as canceled
      ) as third
      cross join lateral (
        select third.*,
               least(coalesce(found.in_troubleshooting, 0),
                     bound - third.completed - third.failed - third.canceled) as in_troubleshooting
      ) as fourth
  ),
  decided as (
    select counted.*,
           case
             when is_complete and canceled + failed > 0 then 'COMPLETED_WITH_FAILURES'
             when is_complete and completed = bound then 'COMPLETED'
             when was_complete and bound > 0 and not is_complete then 'IN_PROGRESS'
             when status = 'PENDING' and (completed + canceled + failed + in_troubleshooting > 0 or has_started)
               then 'IN_PROGRESS'
             else status
           end as new_status
      from counted
  )
  select decided.*,
         (new_status, completed, canceled, failed, in_troubleshooting)
           <> (status, completed_count, canceled_count, failed_count, in_troubleshooting_count) as is_changed
    from decided;

  update commandbus.batch
     set status = recount.new_status,
         completed_count = recount.completed,
         canceled_count = recount.canceled,
         failed_count = recount.failed,
         in_troubleshooting_count = recount.in_troubleshooting,
         started_at = case when recount.new_status = 'PENDING' then recount.started_at
                           else coalesce(recount.started_at, now()) end,
         completed_at = case when recount.is_complete then coalesce(recount.completed_at, now())
                             when recount.new_status <> recount.status then null
                             else recount.completed_at end
    from commandbus.recount
   where batch.domain = recount.domain
     and batch.batch_id = recount.batch_id
     and recount.is_changed;

  get diagnostics v_changed = row_count;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  select domain, batch_id, 'BATCH_COMPLETED',
         jsonb_build_object('batch_id', batch_id, 'total_count', total_count, 'completed_count', completed,
                            'canceled_count', canceled, 'failed_count', failed)
    from commandbus.recount
   where is_complete and not was_complete and batch_type <> 'PROCESS';

  -- Commands that the counters do not include: those beyond total_count, and those of PROCESS batches.
  update commandbus.command
     set counted_as = null
    from (
      select command.domain, command.command_id,
             row_number() over (
               partition by command.domain, command.batch_id
               order by array_position(array['COMPLETED', 'FAILED', 'CANCELED'], command.status),
                        command.updated_at, command.command_id
             ) as place,
             case when recount.batch_type = 'PROCESS' then 0 else recount.bound end as bound
        from commandbus.recount
        join commandbus.command using (domain, batch_id)
       where (recount.batch_type = 'PROCESS' or recount.present_counted > recount.bound)
         and command.status in ('COMPLETED', 'FAILED', 'CANCELED', 'IN_TROUBLESHOOTING_QUEUE')
    ) as placed
   where placed.place > placed.bound
     and command.domain = placed.domain
     and command.command_id = placed.command_id;

  update commandbus.command
     set counted_as = 'CANCELED'
    from commandbus.recount
   where recount.was_purged
     and recount.batch_type <> 'PROCESS'
     and command.domain = recount.domain
     and command.batch_id = recount.batch_id
     and command.status = 'IN_TROUBLESHOOTING_QUEUE';

  insert into commandbus.adoption_report (finding, details)
  select case
           when was_purged then
             'The batch is complete and some of its rows no longer exist. What was in troubleshooting counts as canceled.'
           when was_full then
             'The batch is complete, so none of its commands can be in troubleshooting.'
           when is_complete and not was_complete then
             'Everything in the batch had finished, so the batch is complete now. Its callback has not run.'
           when was_complete then
             'The batch was marked complete too early. It is in progress again and will complete once more.'
           else 'The batch''s counters were wrong and were counted again.'
         end,
         jsonb_build_object(
           'domain', domain, 'batch_id', batch_id, 'batch_type', batch_type, 'total_count', total_count,
           case batch_type when 'PROCESS' then 'processes' else 'commands' end, present,
           'before', jsonb_build_object('status', status, 'completed_count', completed_count,
             'canceled_count', canceled_count, 'failed_count', failed_count,
             'in_troubleshooting_count', in_troubleshooting_count),
           'after', jsonb_build_object('status', new_status, 'completed_count', completed,
             'canceled_count', canceled, 'failed_count', failed,
             'in_troubleshooting_count', in_troubleshooting))
    from commandbus.recount
   where is_changed
   order by domain, batch_id;

  if v_changed > 0 then
    select string_agg(batch_id::text, ', ' order by batch_id)
      into v_examples
      from (select batch_id from commandbus.recount where is_changed order by batch_id limit 5) as changed;

    raise warning 'adoption: corrected the counters of % batches, among them %; the table commandbus.adoption_report has the values before and after', v_changed, v_examples;
  end if;

  drop table commandbus.recount;
end;
$$;
--! EndIncluded commandbus/adoption/counters.sql
--! Included commandbus/adoption/constraints.sql
-- Gives adopted tables the constraints of a new database. The commands are read once for the checks and
-- once for the foreign key. Only a foreign key may stay not valid: later updates of a row that breaks it
-- still succeed, where a check would refuse them.
do $$
declare
  v_origin  constant text := current_setting('adoption.origin');
  v_prefix  constant text := case v_origin when 'public' then 'public.command_bus_' else 'commandbus.' end;
  v_key     record;
  v_count   bigint;
  v_rows    text;
begin
  if v_origin = 'none' then
    return;
  end if;

  -- The oldest databases had no batches; their table is new and has its checks.
  if not exists (select from pg_constraint
                  where conrelid = 'commandbus.batch'::regclass and conname = 'batch_status_is_known') then
    alter table commandbus.batch
      add constraint batch_status_is_known
        check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'COMPLETED_WITH_FAILURES')),
      add constraint batch_type_is_known
        check (batch_type in ('COMMAND', 'PROCESS')),
      add constraint batch_counts_are_not_negative
        check (completed_count >= 0 and canceled_count >= 0 and failed_count >= 0
               and in_troubleshooting_count >= 0),
      add constraint batch_counts_do_not_exceed_total
        check (completed_count + canceled_count + failed_count + in_troubleshooting_count
               <= total_count);
  end if;

  alter table commandbus.command
    add constraint command_status_is_known
      check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                        'IN_TROUBLESHOOTING_QUEUE')),
    add constraint command_is_counted_as_final_or_in_troubleshooting
      check (counted_as in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE',
                            'AS_STATUS'));

  for v_key in
    select *
      from (values
        ('command', 'command_belongs_to_a_batch_that_exists', 'batch', 'batch_id', 'command_id'),
        ('process_audit', 'process_audit_belongs_to_a_process', 'process', 'process_id', 'id')
      ) as spec (of_table, name, target, reference, id)
     where not exists (select from pg_constraint
                        where conrelid = ('commandbus.' || of_table)::regclass and conname = spec.name)
  loop
    begin
      execute format('alter table commandbus.%I add constraint %I foreign key (domain, %I) '
                     'references commandbus.%I on delete no action',
                     v_key.of_table, v_key.name, v_key.reference, v_key.target);
    exception when foreign_key_violation then
      execute format('alter table commandbus.%I add constraint %I foreign key (domain, %I) '
                     'references commandbus.%I on delete no action not valid',
                     v_key.of_table, v_key.name, v_key.reference, v_key.target);

      execute format($sql$
        select count(*), string_agg(id, ', ' order by id) filter (where n <= 5)
          from (
            select %2$I::text as id, row_number() over (order by %2$I::text) as n
              from commandbus.%1$I as referrer
             where %4$I is not null
               and not exists (select from commandbus.%3$I as target
                                where target.domain = referrer.domain and target.%4$I = referrer.%4$I)
          ) as orphan
        $sql$, v_key.of_table, v_key.id, v_key.target, v_key.reference)
        into v_count, v_rows;

      insert into commandbus.adoption_report (finding, details)
      values (format('Rows of commandbus.%s name a %s that does not exist; the foreign key %s is not valid.',
                     v_key.of_table, v_key.target, v_key.name),
              jsonb_build_object(v_key.of_table || 's', v_count, 'examples', v_rows));
      raise warning 'adoption: % rows of commandbus.% name a % that does not exist, among them %; the foreign key % is not valid',
        v_count, v_key.of_table, v_key.target, v_rows, v_key.name;
    end;
  end loop;
exception when check_violation then
  select count(*), string_agg(name, ', ' order by n) filter (where n <= 5)
    into v_count, v_rows
    from (
      select name, row_number() over (order by name) as n
        from (
          select format('batch %s (%s, %s, total_count %s)', batch_id, status, batch_type, total_count) as name
            from commandbus.batch
           where total_count < 0
              or status not in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'COMPLETED_WITH_FAILURES')
              or batch_type not in ('COMMAND', 'PROCESS')
           union all
          select format('command %s (%s)', command_id, status)
            from commandbus.command
           where status not in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                                'IN_TROUBLESHOOTING_QUEUE')
        ) as named
    ) as numbered;

  raise exception '% rows have a status, a batch_type or a total_count that is not allowed', v_count
    using errcode = 'check_violation',
          detail = format('Found: %s%s.', v_rows, case when v_count > 5 then ', …' else '' end),
          hint = format('Correct them in %1$sbatch and %1$scommand, then start again.', v_prefix);
end;
$$;
--! EndIncluded commandbus/adoption/constraints.sql

-- Functions that others use.
--! Included commandbus/functions/counter_no.sql
create or replace function commandbus.counter_no(p_command_id uuid)
returns smallint
language plpgsql
immutable
strict
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_bytes bytea := uuid_send(p_command_id);
begin
  -- These bytes differ between neighboring ids in every version of UUID, and in ids that count up.
  return (get_byte(v_bytes, 3) # get_byte(v_bytes, 7) # get_byte(v_bytes, 15)) & 15;
end;
$$;

comment on function commandbus.counter_no(uuid) is
  'Chooses which of a large batch''s 16 counter rows counts this command.';

revoke all on function commandbus.counter_no(uuid) from public;
--! EndIncluded commandbus/functions/counter_no.sql
--! Included commandbus/functions/lock_pending_batch.sql
create or replace function commandbus.lock_pending_batch(
  p_domain text,
  p_batch_id uuid,
  p_wait boolean
)
returns commandbus.batch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch commandbus.batch;
begin
  if p_wait then
    select batch.*
      into v_batch
      from commandbus.batch
     where batch.domain = p_domain
       and batch.batch_id = p_batch_id
       and batch.batch_type = 'COMMAND'
       and batch.status = 'PENDING'
       for no key update;
  else
    select batch.*
      into v_batch
      from commandbus.batch
     where batch.domain = p_domain
       and batch.batch_id = p_batch_id
       and batch.batch_type = 'COMMAND'
       and batch.status = 'PENDING'
       for no key update skip locked;
  end if;

  -- If another session started the batch while this one waited, PostgreSQL has locked the row all the
  -- same. Counter rows come before the batch in the lock order, so the lock must not stay.
  if not found then
    raise exception 'the batch is not pending' using errcode = 'KBUND';
  end if;

  return v_batch;
exception when sqlstate 'KBUND' then
  return null;
end;
$$;

comment on function commandbus.lock_pending_batch(text, uuid, boolean) is
  'Locks a batch of commands that has not started, and returns it; otherwise returns null and leaves no lock. Without p_wait, it skips a batch that another session has locked.';

revoke all on function commandbus.lock_pending_batch(text, uuid, boolean) from public;
--! EndIncluded commandbus/functions/lock_pending_batch.sql
--! Included commandbus/functions/start_batch.sql
create or replace function commandbus.start_batch(p_domain text, p_batch_id uuid, p_wait boolean)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch commandbus.batch;
  v_counter_rows int := 0;
begin
  v_batch := commandbus.lock_pending_batch(p_domain, p_batch_id, p_wait);

  if v_batch.batch_id is null then
    return false;
  end if;

  -- A large batch gets counter rows, but only if all its commands exist: otherwise the number of
  -- commands that each row has to count is unknown.
  if v_batch.total_count > 1000 then
    with part as (
      select commandbus.counter_no(command.command_id) as counter_no,
             count(*) as commands,
             count(*) filter (
               where command.counted_as is null
                  or (command.counted_as = 'AS_STATUS'
                      and command.status in ('PENDING', 'IN_PROGRESS'))
             ) as uncounted
        from commandbus.command
       where command.domain = p_domain
         and command.batch_id = p_batch_id
       group by 1
    )
    insert into commandbus.batch_counter (domain, batch_id, counter_no, quota)
    select p_domain, p_batch_id, numbers.counter_no, coalesce(part.uncounted, 0)
      from generate_series(0, 15) as numbers (counter_no)
      left join part on part.counter_no = numbers.counter_no
     where (select sum(part.commands) = v_batch.total_count
                   and sum(part.uncounted) = v_batch.total_count - v_batch.completed_count
                       - v_batch.canceled_count - v_batch.failed_count
                       - v_batch.in_troubleshooting_count
              from part);

    get diagnostics v_counter_rows = row_count;
  end if;

  update commandbus.batch
     set status = 'IN_PROGRESS',
         started_at = now(),
         counter_rows = v_counter_rows
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_batch_id, 'BATCH_STARTED', jsonb_build_object('batch_id', p_batch_id));

  return true;
end;
$$;

comment on function commandbus.start_batch(text, uuid, boolean) is
  'Takes a batch of commands from PENDING to IN_PROGRESS; true for the call that did it. Without p_wait, it skips a batch that another session has locked.';

revoke all on function commandbus.start_batch(text, uuid, boolean) from public;
--! EndIncluded commandbus/functions/start_batch.sql
--! Included commandbus/functions/wait_for_batch.sql
create or replace function commandbus.wait_for_batch(p_domain text, p_batch_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  perform
     from commandbus.batch
    where batch.domain = p_domain
      and batch.batch_id = p_batch_id
      for no key update;

  -- Within a transaction, only rolling a block back releases a lock.
  raise exception 'the batch is free' using errcode = 'KBUND';
exception when sqlstate 'KBUND' then
  return;
end;
$$;

comment on function commandbus.wait_for_batch(text, uuid) is
  'Waits until no other session has locked the batch, and leaves no lock.';

revoke all on function commandbus.wait_for_batch(text, uuid) from public;
--! EndIncluded commandbus/functions/wait_for_batch.sql
--! Included commandbus/functions/start_batch_of_command.sql
create or replace function commandbus.start_batch_of_command(
  p_domain text,
  p_command_id uuid,
  p_batch_id uuid
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  begin
    -- The lock order: command first, then batch.
    perform
       from commandbus.command
      where command.domain = p_domain
        and command.command_id = p_command_id
        for no key update;

    if commandbus.start_batch(p_domain, p_batch_id, p_wait => false)
       or not exists (
         select from commandbus.batch
          where batch.domain = p_domain
            and batch.batch_id = p_batch_id
            and batch.status = 'PENDING')
    then
      return;
    end if;

    -- Another session is starting the batch, and may receive this command next: release it.
    raise exception 'another session has locked the batch' using errcode = 'KBUND';
  exception when sqlstate 'KBUND' then
    null;
  end;

  -- No lock may be left from this either. Waiting for a command while holding its batch would invert
  -- the lock order.
  perform commandbus.wait_for_batch(p_domain, p_batch_id);
end;
$$;

comment on function commandbus.start_batch_of_command(text, uuid, uuid) is
  'Starts the batch of a command. If another session has locked the batch, waits without holding any lock; the caller then checks again.';

revoke all on function commandbus.start_batch_of_command(text, uuid, uuid) from public;
--! EndIncluded commandbus/functions/start_batch_of_command.sql
--! Included commandbus/functions/release_place.sql
create or replace function commandbus.release_place(
  p_domain text,
  p_batch_id uuid,
  p_counter_no smallint
)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_counter_no smallint;
  v_unreported int;
begin
  loop
    -- The command's own counter row first. It is full if there are more commands than announced; then
    -- any other row will do.
    select batch_counter.counter_no
      into v_counter_no
      from commandbus.batch_counter
     where batch_counter.domain = p_domain
       and batch_counter.batch_id = p_batch_id
       and batch_counter.completed < batch_counter.quota
     order by batch_counter.counter_no <> p_counter_no, batch_counter.counter_no
     limit 1;

    if not found then
      return null;
    end if;

    -- Another session may have taken the last place meanwhile. The wait for it has locked the row all
    -- the same; that lock must not stay while this session waits for another row.
    begin
      update commandbus.batch_counter
         set quota = batch_counter.quota - 1
       where batch_counter.domain = p_domain
         and batch_counter.batch_id = p_batch_id
         and batch_counter.counter_no = v_counter_no
         and batch_counter.completed < batch_counter.quota
      returning batch_counter.unreported into v_unreported;

      if not found then
        raise exception 'the counter row is full' using errcode = 'KBUND';
      end if;

      exit;
    exception when sqlstate 'KBUND' then
      null;
    end;
  end loop;

  -- Without this place the row may have counted all of its commands, so it reports now.
  update commandbus.batch_counter
     set unreported = 0
   where batch_counter.domain = p_domain
     and batch_counter.batch_id = p_batch_id
     and batch_counter.counter_no = v_counter_no;

  return v_unreported;
end;
$$;

comment on function commandbus.release_place(text, uuid, smallint) is
  'Takes the place of one command out of a large batch''s counter rows, so that the batch''s own row can count it. Returns what the counter row reports, or null if no place is left.';

revoke all on function commandbus.release_place(text, uuid, smallint) from public;
--! EndIncluded commandbus/functions/release_place.sql
--! Included commandbus/functions/count_in_rows.sql
create or replace function commandbus.count_in_rows(
  p_batch commandbus.batch,
  p_command_id uuid,
  p_from text,
  p_to text
)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_counter_no smallint := commandbus.counter_no(p_command_id);
  v_unreported int;
  v_due boolean;
begin
  -- The batch's own row counts a command in troubleshooting, until an operator retries it.
  if p_from = 'IN_TROUBLESHOOTING_QUEUE' then
    if p_to is null then
      update commandbus.batch_counter
         set quota = batch_counter.quota + 1
       where batch_counter.domain = p_batch.domain
         and batch_counter.batch_id = p_batch.batch_id
         and batch_counter.counter_no = v_counter_no;
    end if;

    return case when p_to = 'COMPLETED' then 1 else 0 end;
  end if;

  if p_to = 'COMPLETED' then
    begin
      update commandbus.batch_counter
         set completed = batch_counter.completed + 1,
             unreported = batch_counter.unreported + 1
       where batch_counter.domain = p_batch.domain
         and batch_counter.batch_id = p_batch.batch_id
         and batch_counter.counter_no = v_counter_no
         and batch_counter.completed < batch_counter.quota
      returning batch_counter.unreported,
                batch_counter.completed = batch_counter.quota
                  or batch_counter.unreported >= p_batch.total_count / 320
           into v_unreported, v_due;

      -- As in release_place: a lock on a full row must not stay.
      if not found then
        raise exception 'the counter row is full' using errcode = 'KBUND';
      end if;

      -- 16 rows that each hold back less than 1/320 keep the batch's row within 5 %.
      if not v_due then
        return 0;
      end if;

      update commandbus.batch_counter
         set unreported = 0
       where batch_counter.domain = p_batch.domain
         and batch_counter.batch_id = p_batch.batch_id
         and batch_counter.counter_no = v_counter_no;

      return v_unreported;
    exception when sqlstate 'KBUND' then
      null;
    end;
  end if;

  -- The batch's own row counts this command, and a counter row one command less.
  v_unreported := commandbus.release_place(p_batch.domain, p_batch.batch_id, v_counter_no);

  return v_unreported + case when p_to = 'COMPLETED' then 1 else 0 end;
end;
$$;

comment on function commandbus.count_in_rows(commandbus.batch, uuid, text, text) is
  'Counts a command in a large batch''s counter rows. Returns by how much the batch''s completed_count grows, or null if the batch has counted total_count commands already.';

revoke all on function commandbus.count_in_rows(commandbus.batch, uuid, text, text) from public;
--! EndIncluded commandbus/functions/count_in_rows.sql
--! Included commandbus/functions/move_batch_counts.sql
create or replace function commandbus.move_batch_counts(
  p_domain text,
  p_batch_id uuid,
  p_completed int,
  p_canceled int,
  p_failed int,
  p_in_troubleshooting int
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch commandbus.batch;
begin
  -- The conditions and the sums see the row as it is once this session has its lock.
  update commandbus.batch
     set completed_count = batch.completed_count + p_completed,
         canceled_count = batch.canceled_count + p_canceled,
         failed_count = batch.failed_count + p_failed,
         in_troubleshooting_count = batch.in_troubleshooting_count + p_in_troubleshooting
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     and batch.batch_type = 'COMMAND'
     and batch.in_troubleshooting_count + p_in_troubleshooting >= 0
     and batch.completed_count + batch.canceled_count + batch.failed_count
         + batch.in_troubleshooting_count
         + p_completed + p_canceled + p_failed + p_in_troubleshooting <= batch.total_count
  returning batch.* into v_batch;

  if not found then
    return null;
  end if;

  if v_batch.completed_count + v_batch.canceled_count + v_batch.failed_count < v_batch.total_count
     or v_batch.total_count = 0
     or v_batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES') then
    return false;
  end if;

  update commandbus.batch
     set status = case when batch.canceled_count + batch.failed_count > 0
                       then 'COMPLETED_WITH_FAILURES' else 'COMPLETED' end,
         started_at = coalesce(batch.started_at, now()),
         completed_at = now()
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_batch_id, 'BATCH_COMPLETED',
          jsonb_build_object('batch_id', p_batch_id,
                             'total_count', v_batch.total_count,
                             'completed_count', v_batch.completed_count,
                             'canceled_count', v_batch.canceled_count,
                             'failed_count', v_batch.failed_count));

  return true;
end;
$$;

comment on function commandbus.move_batch_counts(text, uuid, int, int, int, int) is
  'Adds to the counts of a batch of commands, within their bounds. True if this completed the batch, null if the bounds do not allow it.';

revoke all on function commandbus.move_batch_counts(text, uuid, int, int, int, int) from public;
--! EndIncluded commandbus/functions/move_batch_counts.sql
--! Included commandbus/functions/count_move.sql
create or replace function commandbus.count_move(
  p_batch commandbus.batch,
  p_command_id uuid,
  p_from text,
  p_to text
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_completed int := case when p_to = 'COMPLETED' then 1 else 0 end;
  v_canceled int := case when p_to = 'CANCELED' then 1 else 0 end;
  v_failed int := case when p_to = 'FAILED' then 1 else 0 end;
  v_in_troubleshooting int := case when p_to = 'IN_TROUBLESHOOTING_QUEUE' then 1 else 0 end
                            - case when p_from = 'IN_TROUBLESHOOTING_QUEUE' then 1 else 0 end;
begin
  if p_batch.counter_rows > 0 then
    v_completed := commandbus.count_in_rows(p_batch, p_command_id, p_from, p_to);

    if v_completed is null then
      return null;
    end if;
  end if;

  -- A counter row has counted the command, and has nothing to report yet.
  if v_completed = 0 and v_canceled = 0 and v_failed = 0 and v_in_troubleshooting = 0 then
    return false;
  end if;

  return commandbus.move_batch_counts(p_batch.domain, p_batch.batch_id, v_completed, v_canceled,
                                      v_failed, v_in_troubleshooting);
end;
$$;

comment on function commandbus.count_move(commandbus.batch, uuid, text, text) is
  'Counts a command for its batch, which has started; the caller has locked the command. True if this completed the batch, null if the batch has counted total_count commands already.';

revoke all on function commandbus.count_move(commandbus.batch, uuid, text, text) from public;
--! EndIncluded commandbus/functions/count_move.sql
--! Included commandbus/functions/settle_batch.sql
create or replace function commandbus.settle_batch(p_domain text, p_batch_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_command record;
  v_batch commandbus.batch;
  v_is_complete boolean;
  v_completed_now boolean := false;
begin
  -- The caller already holds commands, in no order, and a transaction may receive any number of them.
  -- Waiting for another session's command could deadlock; that session settles it.
  for v_command in
    with differing as materialized (
      select command.command_id,
             command.counted_as as counted_from,
             case when command.status in ('COMPLETED', 'CANCELED', 'FAILED',
                                          'IN_TROUBLESHOOTING_QUEUE')
                  then command.status end as counted_to
        from commandbus.command
       where command.domain = p_domain
         and command.batch_id = p_batch_id
         and (command.counted_as is null
                and command.status in ('COMPLETED', 'CANCELED', 'FAILED',
                                       'IN_TROUBLESHOOTING_QUEUE')
              or command.counted_as = 'IN_TROUBLESHOOTING_QUEUE'
                and command.status <> 'IN_TROUBLESHOOTING_QUEUE')
         for no key update skip locked
    )
    select differing.*, count(*) over () as number_of_commands
      from differing
     order by differing.command_id
  loop
    if v_batch.batch_id is null then
      perform commandbus.start_batch(p_domain, p_batch_id, p_wait => true)
         from commandbus.batch
        where batch.domain = p_domain
          and batch.batch_id = p_batch_id
          and batch.status = 'PENDING';

      select batch.*
        into v_batch
        from commandbus.batch
       where batch.domain = p_domain
         and batch.batch_id = p_batch_id
         and batch.batch_type = 'COMMAND';

      exit when not found;

      -- Counting several commands alternates between counter rows and the batch, so lock all counter
      -- rows first.
      if v_batch.counter_rows > 0 and v_command.number_of_commands > 1 then
        perform
           from commandbus.batch_counter
          where batch_counter.domain = p_domain
            and batch_counter.batch_id = p_batch_id
          order by batch_counter.counter_no
            for no key update;
      end if;
    end if;

    v_is_complete := commandbus.count_move(v_batch, v_command.command_id, v_command.counted_from,
                                           v_command.counted_to);

    -- The batch has counted total_count commands already; this one stays uncounted.
    continue when v_is_complete is null;

    update commandbus.command
       set counted_as = v_command.counted_to
     where command.domain = p_domain
       and command.command_id = v_command.command_id;

    v_completed_now := v_completed_now or v_is_complete;
  end loop;

  return v_completed_now;
end;
$$;

comment on function commandbus.settle_batch(text, uuid) is
  'Counts every command of the batch whose status differs from what the batch''s counters hold for it. True if this completed the batch.';

revoke all on function commandbus.settle_batch(text, uuid) from public;
--! EndIncluded commandbus/functions/settle_batch.sql
--! Included commandbus/functions/flush_counter_rows.sql
create or replace function commandbus.flush_counter_rows(p_domain text, p_batch_id uuid)
returns commandbus.batch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_unreported int;
  v_batch commandbus.batch;
begin
  -- The lock order: all counter rows by number, then the batch.
  select sum(counter.unreported)
    into v_unreported
    from (
      select batch_counter.unreported
        from commandbus.batch_counter
       where batch_counter.domain = p_domain
         and batch_counter.batch_id = p_batch_id
       order by batch_counter.counter_no
         for no key update
    ) as counter;

  -- This cannot complete the batch: a counter row that has counted all of its commands has reported
  -- already.
  if v_unreported > 0 then
    update commandbus.batch_counter
       set unreported = 0
     where batch_counter.domain = p_domain
       and batch_counter.batch_id = p_batch_id
       and batch_counter.unreported > 0;

    update commandbus.batch
       set completed_count = batch.completed_count + v_unreported
     where batch.domain = p_domain
       and batch.batch_id = p_batch_id;
  end if;

  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  return v_batch;
end;
$$;

comment on function commandbus.flush_counter_rows(text, uuid) is
  'Adds what the counter rows of a large batch have not reported to the batch''s own row, and returns that row.';

revoke all on function commandbus.flush_counter_rows(text, uuid) from public;
--! EndIncluded commandbus/functions/flush_counter_rows.sql
--! Included commandbus/functions/count_processes.sql
create or replace function commandbus.count_processes(p_domain text, p_batch_id uuid)
returns commandbus.batch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch commandbus.batch;
  v_found record;
  v_completed int;
  v_canceled int;
  v_in_troubleshooting int;
  v_status text;
  v_started_at timestamptz;
  v_completed_at timestamptz;
begin
  -- Locked before counting, so that a concurrent refresh cannot overwrite a newer count.
  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     for no key update;

  -- The index on batch_id finds the processes. Materialized, so that the planner does not combine it
  -- with an index that begins with the domain and reads the entries of other batches.
  with member as materialized (
    select process.domain, process.process_id, process.status
      from commandbus.process
     where process.batch_id = p_batch_id
  )
  select count(*) as processes,
         count(*) filter (where member.status in ('COMPLETED', 'COMPENSATED')) as completed,
         count(*) filter (where member.status in ('FAILED', 'CANCELED')) as canceled,
         count(troubled.correlation_id) as in_troubleshooting,
         coalesce(bool_or(member.status <> 'PENDING'), false) as any_started
    into v_found
    from member
    -- One index lookup for each unfinished process. The limit keeps the planner from choosing a join
    -- that reads all commands in troubleshooting.
    left join lateral (
      select command.correlation_id
        from commandbus.command
       where command.correlation_id = member.process_id
         and command.status = 'IN_TROUBLESHOOTING_QUEUE'
         and member.status not in ('COMPLETED', 'COMPENSATED', 'FAILED', 'CANCELED')
       limit 1
    ) as troubled on true
   where member.domain = p_domain;

  -- A complete batch whose processes have been deleted keeps its counts.
  if v_batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES')
     and v_found.processes < v_batch.total_count then
    return v_batch;
  end if;

  v_completed := least(v_found.completed, v_batch.total_count);
  v_canceled := least(v_found.canceled, v_batch.total_count - v_completed);
  v_in_troubleshooting := least(v_found.in_troubleshooting,
                                v_batch.total_count - v_completed - v_canceled);
  v_status := case
    when v_batch.total_count > 0 and v_completed + v_canceled = v_batch.total_count
      then case when v_canceled > 0 then 'COMPLETED_WITH_FAILURES' else 'COMPLETED' end
    when v_batch.status <> 'PENDING' or v_found.any_started then 'IN_PROGRESS'
    else 'PENDING'
  end;

  v_started_at := case when v_status = 'PENDING' then v_batch.started_at
                       else coalesce(v_batch.started_at, now()) end;
  v_completed_at := case when v_status in ('COMPLETED', 'COMPLETED_WITH_FAILURES')
                         then coalesce(v_batch.completed_at, now()) end;

  update commandbus.batch
     set status = v_status,
         completed_count = v_completed,
         canceled_count = v_canceled,
         failed_count = 0,
         in_troubleshooting_count = v_in_troubleshooting,
         started_at = v_started_at,
         completed_at = v_completed_at
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     and (batch.status, batch.completed_count, batch.canceled_count, batch.failed_count,
          batch.in_troubleshooting_count, batch.started_at, batch.completed_at)
         is distinct from
         (v_status, v_completed, v_canceled, 0, v_in_troubleshooting, v_started_at, v_completed_at);

  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  return v_batch;
end;
$$;

comment on function commandbus.count_processes(text, uuid) is
  'Counts the processes of a PROCESS batch, writes counts and status to the batch''s row, and returns that row.';

revoke all on function commandbus.count_processes(text, uuid) from public;
--! EndIncluded commandbus/functions/count_processes.sql
--! Included commandbus/views/batch_progress.sql
create or replace view commandbus.batch_progress
with (security_invoker = true) as
select batch.domain,
       batch.batch_id,
       batch.status,
       batch.total_count,
       (batch.completed_count + coalesce(counter.unreported, 0))::int as completed_count,
       batch.canceled_count,
       batch.failed_count,
       batch.in_troubleshooting_count
  from commandbus.batch
  left join lateral (
    select sum(batch_counter.unreported) as unreported
      from commandbus.batch_counter
     where batch_counter.domain = batch.domain
       and batch_counter.batch_id = batch.batch_id
       and batch.counter_rows > 0
  ) as counter on true;

comment on view commandbus.batch_progress is
  'The exact counts of each batch, even of a large one while it runs.';
comment on column commandbus.batch_progress.domain is 'The batch''s domain.';
comment on column commandbus.batch_progress.batch_id is 'The batch.';
comment on column commandbus.batch_progress.status is 'The batch''s status.';
comment on column commandbus.batch_progress.total_count is 'How many commands or processes were announced.';
comment on column commandbus.batch_progress.completed_count is 'How many completed.';
comment on column commandbus.batch_progress.canceled_count is 'How many were canceled.';
comment on column commandbus.batch_progress.failed_count is 'How many a business rule rejected.';
comment on column commandbus.batch_progress.in_troubleshooting_count is 'How many wait for an operator.';
--! EndIncluded commandbus/views/batch_progress.sql

-- Triggers on commandbus.command.
--! Included commandbus/functions/tg_command__keep_final_status.sql
create or replace function commandbus.tg_command__keep_final_status()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'command % is %, which is final', OLD.command_id, OLD.status
    using errcode = 'object_not_in_prerequisite_state',
          detail = format('The update would set it to %s.', NEW.status),
          hint = 'Another session has finished the command. Roll back, and read it again.';
end;
$$;

comment on function commandbus.tg_command__keep_final_status() is
  'Rejects an update that changes the status of a command that is COMPLETED, CANCELED or FAILED. Raises object_not_in_prerequisite_state.';

revoke all on function commandbus.tg_command__keep_final_status() from public;
--! EndIncluded commandbus/functions/tg_command__keep_final_status.sql
create or replace trigger keep_final_status
  before update of status on commandbus.command
  for each row
  when (OLD.status in ('COMPLETED', 'CANCELED', 'FAILED')
        and NEW.status is distinct from OLD.status)
  execute function commandbus.tg_command__keep_final_status();

--! Included commandbus/functions/tg_command__mark_adopted.sql
create or replace function commandbus.tg_command__mark_adopted()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Adoption writes no rows, so it marks commands AS_STATUS. Of the statuses that can change, only
  -- this one is counted.
  NEW.counted_as := case when OLD.status = 'IN_TROUBLESHOOTING_QUEUE' then OLD.status end;
  return NEW;
end;
$$;

comment on function commandbus.tg_command__mark_adopted() is
  'Replaces the mark AS_STATUS of an adopted command before its status changes.';

revoke all on function commandbus.tg_command__mark_adopted() from public;
--! EndIncluded commandbus/functions/tg_command__mark_adopted.sql
create or replace trigger mark_adopted
  before update of status on commandbus.command
  for each row
  when (OLD.counted_as = 'AS_STATUS' and NEW.counted_as = 'AS_STATUS'
        and NEW.status is distinct from OLD.status)
  execute function commandbus.tg_command__mark_adopted();

--! Included commandbus/functions/tg_command__mark_inserted.sql
create or replace function commandbus.tg_command__mark_inserted()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_held int;
  v_marked int;
begin
  -- Two inserts must not claim the same count. Once a transaction, write the batch's row: under
  -- read committed the other insert waits and then sees this mark, under repeatable read it fails. A
  -- lock alone would let it go on with a snapshot that lacks the mark.
  update commandbus.batch
     set total_count = batch.total_count
   where batch.domain = NEW.domain
     and batch.batch_id = NEW.batch_id
     and batch.batch_type = 'COMMAND'
     and batch.completed_count + batch.canceled_count + batch.failed_count
         + batch.in_troubleshooting_count > 0
     and batch.xmin <> pg_current_xact_id()::xid;

  select case NEW.status
           when 'COMPLETED' then batch.completed_count
           when 'CANCELED' then batch.canceled_count
           when 'FAILED' then batch.failed_count
           else batch.in_troubleshooting_count
         end
    into v_held
    from commandbus.batch
   where batch.domain = NEW.domain
     and batch.batch_id = NEW.batch_id
     and batch.batch_type = 'COMMAND';

  if v_held is null or v_held = 0 then
    return NEW;
  end if;

  select count(*)
    into v_marked
    from commandbus.command
   where command.domain = NEW.domain
     and command.batch_id = NEW.batch_id
     and (command.counted_as = NEW.status
          or command.counted_as = 'AS_STATUS' and command.status = NEW.status);

  if v_marked < v_held then
    NEW.counted_as := NEW.status;
  end if;

  return NEW;
end;
$$;

comment on function commandbus.tg_command__mark_inserted() is
  'For copies of a batch and its commands: marks a command that is inserted in a final status or in troubleshooting as counted, if the batch''s counters include it already.';

revoke all on function commandbus.tg_command__mark_inserted() from public;
--! EndIncluded commandbus/functions/tg_command__mark_inserted.sql
create or replace trigger mark_inserted
  before insert on commandbus.command
  for each row
  when (NEW.batch_id is not null and NEW.counted_as is null
        and NEW.status in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE'))
  execute function commandbus.tg_command__mark_inserted();

-- What clients call.
--! Included commandbus/functions/sp_receive_command.sql
create or replace function commandbus.sp_receive_command(
  p_domain text,
  p_command_id uuid,
  p_new_status text = 'IN_PROGRESS',
  p_msg_id bigint = null,
  p_max_attempts int = null
)
returns table (
  domain text,
  command_id uuid,
  command_type text,
  status text,
  attempts int,
  max_attempts int,
  msg_id bigint,
  correlation_id uuid,
  reply_queue text,
  last_error_type text,
  last_error_code text,
  last_error_msg text,
  created_at timestamptz,
  updated_at timestamptz,
  batch_id uuid
)
language plpgsql
volatile
rows 1
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch_is_pending boolean;
begin
  if p_new_status is null or p_new_status not in ('IN_PROGRESS', 'PENDING') then
    raise exception 'a receive cannot set the status "%"', p_new_status
      using errcode = 'invalid_parameter_value',
            hint = 'IN_PROGRESS or PENDING.';
  end if;

  update commandbus.command
     set status = p_new_status,
         attempts = command.attempts + 1,
         finished_as = null,
         updated_at = now()
   where command.domain = p_domain
     and command.command_id = p_command_id
     and command.status not in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE')
  returning command.domain, command.command_id, command.command_type, command.status,
            command.attempts, coalesce(p_max_attempts, command.max_attempts),
            coalesce(p_msg_id, command.msg_id), command.correlation_id, command.reply_queue,
            command.last_error_type, command.last_error_code, command.last_error_msg,
            command.created_at, command.updated_at, command.batch_id,
            exists (select
                      from commandbus.batch
                     where batch.domain = command.domain
                       and batch.batch_id = command.batch_id
                       and batch.batch_type = 'COMMAND'
                       and batch.status = 'PENDING')
       into domain, command_id, command_type, status, attempts, max_attempts, msg_id,
            correlation_id, reply_queue, last_error_type, last_error_code, last_error_msg,
            created_at, updated_at, batch_id, v_batch_is_pending;

  if not found then
    return;
  end if;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, 'RECEIVED',
          jsonb_build_object('msg_id', msg_id, 'attempt', attempts, 'max_attempts', max_attempts));

  -- A receive never waits for a batch. If another session has locked it, the next receive or finish
  -- starts it.
  if v_batch_is_pending then
    perform commandbus.start_batch(p_domain, batch_id, p_wait => false);
  end if;

  return next;
end;
$$;

comment on function commandbus.sp_receive_command(text, uuid, text, bigint, int) is
  'Takes a command for processing and starts its batch. Returns no row if the command is unknown, final or in troubleshooting. Raises invalid_parameter_value.';

revoke all on function commandbus.sp_receive_command(text, uuid, text, bigint, int) from public;
--! EndIncluded commandbus/functions/sp_receive_command.sql
--! Included commandbus/functions/sp_finish_command.sql
create or replace function commandbus.sp_finish_command(
  p_domain text,
  p_command_id uuid,
  p_status text,
  p_event_type text,
  p_error_type text = null,
  p_error_code text = null,
  p_error_msg text = null,
  p_details jsonb = null,
  p_batch_id uuid = null
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_old record;
  v_from text;
  v_to text;
  v_is_complete boolean;
begin
  if p_domain is null or p_command_id is null or p_event_type is null then
    raise exception 'domain, command_id and event_type must not be null'
      using errcode = 'null_value_not_allowed';
  end if;

  if p_status is null
     or p_status not in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                         'IN_TROUBLESHOOTING_QUEUE') then
    raise exception 'a command cannot have the status "%"', p_status
      using errcode = 'invalid_parameter_value',
            hint = 'PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELED or IN_TROUBLESHOOTING_QUEUE.';
  end if;

  loop
    -- A batch of processes counts no commands.
    select command.status, command.counted_as, command.finished_as, batch
      into v_old
      from commandbus.command
      left join commandbus.batch
        on batch.domain = command.domain
       and batch.batch_id = command.batch_id
       and batch.batch_type = 'COMMAND'
     where command.domain = p_domain
       and command.command_id = p_command_id;

    exit when not found;

    if (v_old.batch).status = 'PENDING' then
      perform commandbus.start_batch_of_command(p_domain, p_command_id, (v_old.batch).batch_id);
      continue;
    end if;

    -- PENDING and IN_PROGRESS may come from a receive or from a client. Then this finish is the first
    -- with that status, and still has an error to store.
    if v_old.status in ('COMPLETED', 'CANCELED', 'FAILED')
       or v_old.status = 'IN_TROUBLESHOOTING_QUEUE'
          and p_status not in ('COMPLETED', 'CANCELED', 'FAILED')
       or v_old.status = p_status and v_old.finished_as = p_status
    then
      -- This finish is only audited, provided that the locked row is still what was read.
      perform
         from commandbus.command
        where command.domain = p_domain
          and command.command_id = p_command_id
          and command.status = v_old.status
          and command.finished_as is not distinct from v_old.finished_as
          for no key update;

      exit when found;
      continue;
    end if;

    v_from := case when v_old.counted_as <> 'AS_STATUS' then v_old.counted_as
                   when v_old.status = 'IN_TROUBLESHOOTING_QUEUE'
                        and v_old.counted_as = 'AS_STATUS' then v_old.status end;
    v_to := case when p_status in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE')
                 then p_status end;

    -- Likewise: if another session changed the row first, read it again.
    with finished as (
      update commandbus.command
         set status = p_status,
             last_error_type = coalesce(p_error_type, command.last_error_type),
             last_error_code = coalesce(p_error_code, command.last_error_code),
             last_error_msg = coalesce(p_error_msg, command.last_error_msg),
             updated_at = now(),
             counted_as = case when (v_old.batch).batch_id is null then command.counted_as
                               else v_to end,
             finished_as = case when v_to is null then p_status end
       where command.domain = p_domain
         and command.command_id = p_command_id
         and command.status = v_old.status
         and command.counted_as is not distinct from v_old.counted_as
         and command.finished_as is not distinct from v_old.finished_as
      returning command.domain, command.command_id
    )
    insert into commandbus.audit (domain, command_id, event_type, details_json)
    select finished.domain, finished.command_id, p_event_type, p_details
      from finished;

    continue when not found;

    if (v_old.batch).batch_id is null or v_from is not distinct from v_to then
      return false;
    end if;

    v_is_complete := commandbus.count_move(v_old.batch, p_command_id, v_from, v_to);

    -- The batch has counted total_count commands already; this one stays uncounted.
    if v_is_complete is null then
      update commandbus.command
         set counted_as = v_from
       where command.domain = p_domain
         and command.command_id = p_command_id;
    end if;

    return coalesce(v_is_complete, false);
  end loop;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, p_event_type, p_details);

  return false;
end;
$$;

comment on function commandbus.sp_finish_command(text, uuid, text, text, text, text, text, jsonb, uuid) is
  'Finishes a command and counts it for its batch. True for the call that completed the batch; its caller runs the batch''s callback. Raises null_value_not_allowed, invalid_parameter_value.';

revoke all on function commandbus.sp_finish_command(text, uuid, text, text, text, text, text, jsonb, uuid) from public;
--! EndIncluded commandbus/functions/sp_finish_command.sql
--! Included commandbus/functions/sp_fail_command.sql
create or replace function commandbus.sp_fail_command(
  p_domain text,
  p_command_id uuid,
  p_error_type text,
  p_error_code text,
  p_error_msg text,
  p_attempt int,
  p_max_attempts int,
  p_msg_id bigint
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  update commandbus.command
     set last_error_type = p_error_type,
         last_error_code = p_error_code,
         last_error_msg = p_error_msg,
         updated_at = now()
   where command.domain = p_domain
     and command.command_id = p_command_id
     and command.status not in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE');

  if not found then
    return false;
  end if;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, 'FAILED',
          jsonb_build_object('msg_id', p_msg_id,
                             'attempt', p_attempt,
                             'max_attempts', p_max_attempts,
                             'error_type', p_error_type,
                             'error_code', p_error_code,
                             'error_msg', p_error_msg));

  return true;
end;
$$;

comment on function commandbus.sp_fail_command(text, uuid, text, text, text, int, int, bigint) is
  'Records a failure that will be retried. False if the command is unknown, final or in troubleshooting.';

revoke all on function commandbus.sp_fail_command(text, uuid, text, text, text, int, int, bigint) from public;
--! EndIncluded commandbus/functions/sp_fail_command.sql
--! Included commandbus/functions/sp_start_batch.sql
create or replace function commandbus.sp_start_batch(p_domain text, p_batch_id uuid)
returns boolean
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  select commandbus.start_batch(p_domain, p_batch_id, p_wait => true);
$$;

comment on function commandbus.sp_start_batch(text, uuid) is
  'Starts a batch of commands. True for the one call that took it from PENDING to IN_PROGRESS.';

revoke all on function commandbus.sp_start_batch(text, uuid) from public;
--! EndIncluded commandbus/functions/sp_start_batch.sql
--! Included commandbus/functions/sp_update_batch_counters.sql
create or replace function commandbus.sp_update_batch_counters(
  p_domain text,
  p_batch_id uuid,
  p_update_type text
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_counter_rows int;
  v_completed int := 0;
  v_canceled int := 0;
  v_failed int := 0;
  v_in_troubleshooting int := 0;
  v_reported int := 0;
  v_is_complete boolean;
begin
  case p_update_type
    when 'complete' then
      v_completed := 1;
    when 'failed' then
      v_failed := 1;
    when 'tsq_move' then
      v_in_troubleshooting := 1;
    when 'tsq_complete' then
      v_completed := 1; v_in_troubleshooting := -1;
    when 'tsq_cancel' then
      v_canceled := 1; v_in_troubleshooting := -1;
    when 'tsq_retry' then
      v_in_troubleshooting := -1;
    else
      raise exception 'counters have no update of type "%"', p_update_type
        using errcode = 'invalid_parameter_value',
              hint = 'complete, failed, tsq_move, tsq_complete, tsq_cancel or tsq_retry.';
  end case;

  -- The start decides how a batch is counted. While the batch is pending, lock it against a start.
  perform commandbus.lock_pending_batch(p_domain, p_batch_id, p_wait => true);

  select batch.counter_rows
    into v_counter_rows
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     and batch.batch_type = 'COMMAND';

  if not found then
    return false;
  end if;

  -- The counter row changes before the batch's own row, whose bounds may not allow it. Then both
  -- stay as they were.
  begin
    if v_counter_rows > 0 and p_update_type in ('complete', 'failed', 'tsq_move') then
      v_reported := commandbus.release_place(p_domain, p_batch_id, 0::smallint);
    elsif v_counter_rows > 0 and p_update_type = 'tsq_retry' then
      update commandbus.batch_counter
         set quota = batch_counter.quota + 1
       where batch_counter.domain = p_domain
         and batch_counter.batch_id = p_batch_id
         and batch_counter.counter_no = 0;
    end if;

    v_is_complete := commandbus.move_batch_counts(p_domain, p_batch_id, v_completed + v_reported,
                                                  v_canceled, v_failed, v_in_troubleshooting);

    if v_is_complete is null then
      raise exception 'the bounds do not allow this' using errcode = 'KBUND';
    end if;
  exception when sqlstate 'KBUND' then
    return false;
  end;

  return v_is_complete;
end;
$$;

comment on function commandbus.sp_update_batch_counters(text, uuid, text) is
  'Moves a batch''s counters by one, within their bounds. True if this completed the batch. Raises invalid_parameter_value.';

revoke all on function commandbus.sp_update_batch_counters(text, uuid, text) from public;
--! EndIncluded commandbus/functions/sp_update_batch_counters.sql
--! Included commandbus/functions/sp_tsq_complete.sql
create or replace function commandbus.sp_tsq_complete(p_domain text, p_batch_id uuid)
returns boolean
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  -- The caller does not name the command, so this counts every command that is not counted yet.
  select commandbus.settle_batch(p_domain, p_batch_id);
$$;

comment on function commandbus.sp_tsq_complete(text, uuid) is
  'Counts a command that an operator has completed: its row is COMPLETED already, set in the same transaction. True if this completed the batch.';

revoke all on function commandbus.sp_tsq_complete(text, uuid) from public;
--! EndIncluded commandbus/functions/sp_tsq_complete.sql
--! Included commandbus/functions/sp_tsq_cancel.sql
create or replace function commandbus.sp_tsq_cancel(p_domain text, p_batch_id uuid)
returns boolean
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  -- The caller does not name the command, so this counts every command that is not counted yet.
  select commandbus.settle_batch(p_domain, p_batch_id);
$$;

comment on function commandbus.sp_tsq_cancel(text, uuid) is
  'Counts a command that an operator has canceled: its row is CANCELED already, set in the same transaction. True if this completed the batch.';

revoke all on function commandbus.sp_tsq_cancel(text, uuid) from public;
--! EndIncluded commandbus/functions/sp_tsq_cancel.sql
--! Included commandbus/functions/sp_tsq_retry.sql
create or replace function commandbus.sp_tsq_retry(p_domain text, p_batch_id uuid)
returns boolean
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
  -- The caller does not name the command, so this counts every command that is not counted yet.
  select commandbus.settle_batch(p_domain, p_batch_id);
$$;

comment on function commandbus.sp_tsq_retry(text, uuid) is
  'Counts a command that an operator has sent again: its row is PENDING already, set in the same transaction. True if this completed the batch.';

revoke all on function commandbus.sp_tsq_retry(text, uuid) from public;
--! EndIncluded commandbus/functions/sp_tsq_retry.sql
--! Included commandbus/functions/sp_refresh_batch_stats.sql
create or replace function commandbus.sp_refresh_batch_stats(p_domain text, p_batch_id uuid)
returns table (
  completed_count bigint,
  failed_count bigint,
  canceled_count bigint,
  in_troubleshooting_count bigint,
  is_complete boolean
)
language plpgsql
volatile
rows 1
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch commandbus.batch;
begin
  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  if v_batch.batch_type = 'PROCESS' then
    v_batch := commandbus.count_processes(p_domain, p_batch_id);
  elsif v_batch.counter_rows > 0 and v_batch.status = 'IN_PROGRESS' then
    v_batch := commandbus.flush_counter_rows(p_domain, p_batch_id);
  end if;

  if v_batch.batch_id is null then
    return;
  end if;

  completed_count := v_batch.completed_count;
  failed_count := v_batch.failed_count;
  canceled_count := v_batch.canceled_count;
  in_troubleshooting_count := v_batch.in_troubleshooting_count;
  is_complete := v_batch.total_count > 0
    and completed_count + canceled_count + failed_count = v_batch.total_count
    and in_troubleshooting_count = 0;
  return next;
end;
$$;

comment on function commandbus.sp_refresh_batch_stats(text, uuid) is
  'Brings a batch''s row up to date and returns its counts: counts the processes of a PROCESS batch, adds the counter rows of a large COMMAND batch. Returns no row for an unknown batch.';

revoke all on function commandbus.sp_refresh_batch_stats(text, uuid) from public;
--! EndIncluded commandbus/functions/sp_refresh_batch_stats.sql

--! Included commandbus/functions/grant_client.sql
create or replace function commandbus.grant_client(p_role text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_function regprocedure;
  v_right record;
  v_remedies text[] := '{}';
begin
  if not exists (select from pg_roles where rolname = p_role) then
    raise exception 'role "%" does not exist', p_role
      using errcode = 'undefined_object',
            hint = 'Create it first; then call commandbus.grant_client() again.';
  end if;

  execute format('grant usage on schema commandbus to %I', p_role);
  execute format('grant select, insert, update, delete
                     on commandbus.batch, commandbus.batch_counter, commandbus.command,
                        commandbus.audit, commandbus.payload_archive, commandbus.process,
                        commandbus.process_audit
                     to %I', p_role);
  execute format('grant select on commandbus.batch_progress to %I', p_role);
  execute format('grant usage, select
                     on sequence commandbus.audit_audit_id_seq, commandbus.process_audit_id_seq
                     to %I', p_role);

  for v_function in
    select pg_proc.oid
      from pg_proc
     where pg_proc.pronamespace = to_regnamespace('commandbus')
       -- These are for administrators.
       and pg_proc.proname <> all (array['grant_client', 'install_legacy_names',
                                         'remove_legacy_names', 'grant_legacy_names'])
  loop
    execute format('grant execute on function %s to %I', v_function, p_role);
  end loop;

  -- PGMQ's functions run with the caller's rights, so a client needs rights on the queues too; and on
  -- the tables of e2e, if it exists. PGMQ may belong to another role: leave existing grants alone, and
  -- report what the caller may not grant.
  for v_right in
    with space as (
      select pg_namespace.oid, quote_ident(pg_namespace.nspname) as name
        from pg_namespace
       where pg_namespace.nspname in ('pgmq', 'e2e')
    ),
    wanted (object, privilege, is_held, is_grantable, remedy) as (
      select 'schema ' || space.name, 'usage',
             has_schema_privilege(p_role, space.oid, 'usage'),
             has_schema_privilege(space.oid, 'usage with grant option'),
             'usage on schema ' || space.name
        from space
       union all
      select 'table ' || pg_class.oid::regclass, needed.privilege,
             has_table_privilege(p_role, pg_class.oid, needed.privilege),
             has_table_privilege(pg_class.oid, needed.privilege || ' with grant option'),
             'select, insert, update, delete on all tables in schema ' || space.name
        from space
        join pg_class on pg_class.relnamespace = space.oid and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        cross join unnest(array['select', 'insert', 'update', 'delete']) as needed (privilege)
       union all
      select 'sequence ' || pg_class.oid::regclass, needed.privilege,
             has_sequence_privilege(p_role, pg_class.oid, needed.privilege),
             has_sequence_privilege(pg_class.oid, needed.privilege || ' with grant option'),
             'usage, select on all sequences in schema ' || space.name
        from space
        join pg_class on pg_class.relnamespace = space.oid and pg_class.relkind = 'S'
        cross join unnest(array['usage', 'select']) as needed (privilege)
       union all
      select 'routine ' || pg_proc.oid::regprocedure, 'execute',
             has_function_privilege(p_role, pg_proc.oid, 'execute'),
             has_function_privilege(pg_proc.oid, 'execute with grant option'),
             'execute on all routines in schema ' || space.name
        from space
        join pg_proc on pg_proc.pronamespace = space.oid
    )
    select *
      from wanted
     where not wanted.is_held
  loop
    if v_right.is_grantable then
      execute format('grant %s on %s to %I', v_right.privilege, v_right.object, p_role);
    elsif v_right.remedy <> all (v_remedies) then
      v_remedies := v_remedies || v_right.remedy;
    end if;
  end loop;

  if v_remedies <> '{}' then
    raise warning 'role "%" lacks rights that "%" cannot grant; an administrator has to run: %',
      p_role, current_user,
      (select string_agg(format('grant %s to %I;', remedy, p_role), ' ') from unnest(v_remedies) as remedy);
  end if;
end;
$$;

comment on function commandbus.grant_client(text) is
  'Grants a role what a client of the bus needs. Call it again after creating a queue. Raises undefined_object.';

revoke all on function commandbus.grant_client(text) from public;
--! EndIncluded commandbus/functions/grant_client.sql

-- The old names in public, created on request.
--! Included commandbus/functions/grant_legacy_names.sql
create or replace function commandbus.grant_legacy_names()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_statement text;
begin
  for v_statement in
    with pair (kind, legacy, behind) as (
      select 'table', to_regclass('public.' || legacy)::oid, to_regclass(behind)::oid
        from (values
          ('command_bus_batch', 'commandbus.batch'),
          ('command_bus_command', 'commandbus.command'),
          ('command_bus_audit', 'commandbus.audit'),
          ('command_bus_payload_archive', 'commandbus.payload_archive'),
          ('e2e_config', 'e2e.config'),
          ('test_command', 'e2e.test_command')
        ) as names (legacy, behind)
       union all
      select 'function', legacy.oid, behind.oid
        from pg_proc as legacy
        join pg_proc as behind using (proname, proargtypes)
       where legacy.pronamespace = 'public'::regnamespace
         and behind.pronamespace = 'commandbus'::regnamespace
    ),
    acl (object, kind, columns, owner, entries) as (
      select oid, 'table', '', relowner, coalesce(relacl, acldefault('r', relowner))
        from pg_class
       union all
      select attrelid, 'table', format(' (%I)', attname), relowner, attacl
        from pg_attribute join pg_class on pg_class.oid = attrelid
       union all
      select oid, 'function', '', proowner, coalesce(proacl, acldefault('f', proowner))
        from pg_proc
    ),
    entry as (
      select pair.*, acl.object, acl.columns, granted.privilege_type, granted.is_grantable,
             case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end as grantee,
             case pair.kind when 'table' then pair.legacy::regclass::text
                            else pair.legacy::regprocedure::text end as legacy_name
        from pair
        join acl on acl.kind = pair.kind and acl.object in (pair.legacy, pair.behind)
        cross join aclexplode(acl.entries) as granted
       where granted.grantee <> acl.owner
         -- The view has only the old columns.
         and (acl.columns = '' or exists (
           select from pg_attribute
            where attrelid = pair.legacy and format(' (%I)', attname) = acl.columns))
    )
    -- Earlier grants are revoked first, so that a right revoked from the table is revoked here too.
    select case
             when object = legacy then format('revoke all%s on %s %s from %s',
               columns, kind, legacy_name, grantee)
             else format('grant %s%s on %s %s to %s%s', privilege_type, columns, kind, legacy_name,
               grantee, case when is_grantable then ' with grant option' else '' end)
           end
      from entry
     order by object = legacy desc
  loop
    execute v_statement;
  end loop;
end;
$$;

comment on function commandbus.grant_legacy_names() is
  'Copies to each legacy name the current grants of the table or function behind it. Called by install_legacy_names().';

revoke all on function commandbus.grant_legacy_names() from public;
--! EndIncluded commandbus/functions/grant_legacy_names.sql
--! Included commandbus/functions/install_legacy_names.sql
create or replace function commandbus.install_legacy_names()
returns setof text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_views text[] := array['command_bus_batch', 'command_bus_command', 'command_bus_audit',
    'command_bus_payload_archive', 'e2e_config', 'test_command'];
  v_functions constant text[] := array['sp_receive_command', 'sp_finish_command', 'sp_fail_command',
    'sp_update_batch_counters', 'sp_start_batch', 'sp_tsq_complete', 'sp_tsq_cancel', 'sp_tsq_retry'];
  -- Distinguishes our objects from others with the same name.
  v_mark constant text := 'Legacy name, made by commandbus.install_legacy_names().';
  v_has_e2e constant boolean := to_regclass('e2e.config') is not null;
  v_in_the_way text;
  v_object     record;
begin
  if not v_has_e2e then
    v_views := array_remove(array_remove(v_views, 'e2e_config'), 'test_command');
  end if;

  select string_agg(object, ', ' order by object)
    into v_in_the_way
    from (
      select oid::regclass::text as object
        from pg_class
       where relnamespace = 'public'::regnamespace
         and relname = any (v_views)
         and obj_description(oid, 'pg_class') is distinct from v_mark
       union all
      select oid::regprocedure::text
        from pg_proc
       where pronamespace = 'public'::regnamespace
         and proname = any (v_functions)
         and obj_description(oid, 'pg_proc') is distinct from v_mark
    ) as others;

  if v_in_the_way is not null then
    raise exception 'cannot install the legacy names: other objects have these names'
      using errcode = 'duplicate_object',
            detail = format('Found: %s.', v_in_the_way),
            hint = 'Rename them or move them to another schema, then install again.';
  end if;

  create or replace view public.command_bus_batch with (security_invoker = true) as
    select domain, batch_id, name, custom_data, status, total_count, completed_count,
           canceled_count, in_troubleshooting_count, created_at, started_at, completed_at
      from commandbus.batch;

  create or replace view public.command_bus_command with (security_invoker = true) as
    select domain, queue_name, msg_id, command_id, command_type, status, attempts, max_attempts,
           lease_expires_at, last_error_type, last_error_code, last_error_msg, created_at,
           updated_at, reply_queue, correlation_id, batch_id
      from commandbus.command;

  create or replace view public.command_bus_audit with (security_invoker = true) as
    select audit_id, domain, command_id, event_type, ts, details_json
      from commandbus.audit;

  create or replace view public.command_bus_payload_archive with (security_invoker = true) as
    select domain, command_id, payload_json, archived_at
      from commandbus.payload_archive;

  if v_has_e2e then
    create or replace view public.e2e_config with (security_invoker = true) as
      select key, value, updated_at
        from e2e.config;

    create or replace view public.test_command with (security_invoker = true) as
      select id, command_id, payload, behavior, created_at, processed_at, attempts, result
        from e2e.test_command;

    -- The table has no default, but one of the two old shapes of test_command has this one.
    alter view public.test_command alter column behavior set default '{"type": "success"}';
  end if;

  for v_object in
    select proname as name,
           pg_get_function_arguments(oid) as arguments,
           pg_get_function_identity_arguments(oid) as identity,
           pg_get_function_result(oid) as result,
           (select string_agg('$' || n, ', ' order by n) from generate_series(1, pronargs) as n) as passed
      from pg_proc
     where pronamespace = 'commandbus'::regnamespace
       and proname = any (v_functions)
  loop
    execute format(
      'create or replace function public.%I(%s) returns %s language sql volatile security invoker '
      'set search_path = pg_catalog, pg_temp as %L',
      v_object.name, v_object.arguments, v_object.result,
      format('select * from commandbus.%I(%s)', v_object.name, v_object.passed));
    execute format('comment on function public.%I(%s) is %L',
      v_object.name, v_object.identity, v_mark);
    return next format('public.%s', v_object.name);
  end loop;

  for v_object in select unnest(v_views) as name loop
    execute format('comment on view public.%I is %L', v_object.name, v_mark);
    return next format('public.%s', v_object.name);
  end loop;

  perform commandbus.grant_legacy_names();
end;
$$;

comment on function commandbus.install_legacy_names() is
  'Creates the old names in public, as views and functions over the new objects and with the same grants. Returns the names. Can be called again. Raises duplicate_object.';

revoke all on function commandbus.install_legacy_names() from public;
--! EndIncluded commandbus/functions/install_legacy_names.sql
--! Included commandbus/functions/remove_legacy_names.sql
create or replace function commandbus.remove_legacy_names()
returns setof text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_mark constant text := 'Legacy name, made by commandbus.install_legacy_names().';
  v_object record;
begin
  -- If another object depends on a legacy name, drop fails and names that object.
  for v_object in
    select 'view' as kind, format('public.%I', relname) as object, relname as name
      from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'v'
       and obj_description(oid, 'pg_class') = v_mark
     union all
    select 'function',
           format('public.%I(%s)', proname, pg_get_function_identity_arguments(oid)), proname
      from pg_proc
     where pronamespace = 'public'::regnamespace
       and obj_description(oid, 'pg_proc') = v_mark
  loop
    execute format('drop %s %s', v_object.kind, v_object.object);
    return next format('public.%s', v_object.name);
  end loop;
end;
$$;

comment on function commandbus.remove_legacy_names() is
  'Drops what install_legacy_names() created, and nothing else. Returns the names. Raises dependent_objects_still_exist.';

revoke all on function commandbus.remove_legacy_names() from public;
--! EndIncluded commandbus/functions/remove_legacy_names.sql

--! Included commandbus/adoption/rights.sql
-- Roles that could use the existing tables can use the new ones. Their rights on tables came along; here
-- they get what a client needs besides, in proportion to those. A role that may update commands gets what
-- the functions do on its behalf with batches and audit. A table that the database lacked is for the
-- roles that have commands. In a new database no role has any rights yet.
do $$
declare
  v_origin     constant text := current_setting('adoption.origin');
  v_existing   constant text[] := array(
    select distinct item ->> 'table'
      from jsonb_array_elements(current_setting('adoption.columns')::jsonb) as item
     where (item ->> 'is_table_found')::boolean);
  v_statement  text;
begin
  if v_origin = 'none' then
    return;
  end if;

  for v_statement in
    with acl (relname, attname, relowner, entries, is_new) as (
      select relname, null, relowner, relacl, false
        from pg_class
       where relnamespace = 'commandbus'::regnamespace and relname = any (v_existing)
       union all
      select relname, attname, relowner, attacl, false
        from pg_class join pg_attribute on attrelid = pg_class.oid
       where relnamespace = 'commandbus'::regnamespace and relname = any (v_existing)
       union all
      select new_table, null, relowner, relacl, true
        from pg_class
        cross join unnest(array['batch', 'process', 'process_audit']) as new_table
       where oid = 'commandbus.command'::regclass and new_table <> all (v_existing)
    ),
    entry as (
      select distinct acl.relname, acl.attname, acl.is_new, granted.privilege_type,
             case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end as grantee
        from acl
        cross join aclexplode(acl.entries) as granted
       where granted.grantee <> acl.relowner
    )
    select format('grant usage on schema commandbus to %s', grantee)
      from entry
     union all
    select format('grant execute on function %s to %s', pg_proc.oid::regprocedure, grantee)
      from entry
      cross join pg_proc
     where pg_proc.pronamespace = 'commandbus'::regnamespace
       and pg_proc.prorettype <> 'trigger'::regtype
       -- For administrators.
       and pg_proc.proname not in ('grant_client', 'install_legacy_names', 'remove_legacy_names',
                                   'grant_legacy_names')
     union all
    select format('grant %s on commandbus.%I to %s', privilege_type, relname, grantee)
      from entry
     where is_new and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
     union all
    select format('grant usage, select on sequence commandbus.%I to %s',
                  case relname when 'audit' then 'audit_audit_id_seq' else 'process_audit_id_seq' end, grantee)
      from entry
     where relname in ('audit', 'process_audit') and privilege_type = 'INSERT'
     union all
    select format('grant select on commandbus.batch_progress, commandbus.batch_counter to %s', grantee)
      from entry
     where relname = 'batch' and privilege_type = 'SELECT'
     union all
    select format('grant insert, update, delete on commandbus.batch_counter to %s', grantee)
      from entry
     where relname = 'batch' and privilege_type = 'UPDATE'
     union all
    select format(needed.statement, grantee)
      from entry
      cross join (values
        ('grant select, update on commandbus.batch to %s'),
        ('grant select, insert, update, delete on commandbus.batch_counter to %s'),
        ('grant select on commandbus.batch_progress to %s'),
        ('grant insert on commandbus.audit to %s'),
        ('grant usage, select on sequence commandbus.audit_audit_id_seq to %s')
      ) as needed (statement)
     where relname = 'command' and privilege_type = 'UPDATE'
     union all
    -- Rights on single columns do not extend to the new ones.
    select format('grant select (%1$s), update (%1$s) on commandbus.command to %2$s',
                  'counted_as, finished_as', grantee)
      from entry
     where relname = 'command' and privilege_type = 'UPDATE' and attname is not null
  loop
    execute v_statement;
  end loop;
end;
$$;
--! EndIncluded commandbus/adoption/rights.sql

do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'commandbus_client') then
    perform commandbus.grant_client('commandbus_client');
  end if;
end;
$$;
