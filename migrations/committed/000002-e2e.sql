--! Previous: sha1:f0ff3ec45f03d3ff7758bd35199c6e7d502cfaae
--! Hash: sha1:02c73ddb1522f626a7883a57b236ad61465cd992
--! Message: e2e

-- Tables and queues for end-to-end tests; E2E_SCHEMA=off leaves them out of a deployment.
-- Only this migration reads the setting. Later ones check whether the schema e2e exists.
set local search_path = pg_catalog, pg_temp;

--! Included e2e/adoption/recognize.sql
-- Decides what this migration does, and leaves the answer in a setting that ends with its transaction:
-- create the schema e2e, adopt the one that an earlier set-up made (whatever E2E_SCHEMA says), or
-- neither.
do $$
declare
  v_spec constant jsonb = $json${
    "test_command": [
      "id int not null", "command_id uuid not null", "payload jsonb not null default '{}'",
      "behavior jsonb not null", "created_at timestamptz not null default now()",
      "processed_at timestamptz", "attempts int not null default 0", "result jsonb"
    ],
    "config": [
      "key text not null", "value jsonb not null", "updated_at timestamptz not null default now()"
    ],
    "?batch_summary": [
      "id int not null", "batch_id uuid not null", "domain text not null default 'e2e'",
      "total_expected int not null default 0", "success_count int not null default 0",
      "failed_count int not null default 0", "canceled_count int not null default 0",
      "created_at timestamptz not null default now()", "completed_at timestamptz"
    ]
  }$json$;
  v_setting  constant text := ':E2E_SCHEMA';
  v_columns   jsonb;
  v_old       oid[];
  v_found     text;
  v_decision  text;
  v_tables    oid[];
  v_differs   text;
  v_owner     name;
begin
  if v_setting not in ('on', 'off') then
    raise exception 'E2E_SCHEMA is "%"; it has to be "on" or "off"', v_setting
      using errcode = 'invalid_parameter_value';
  end if;

  select jsonb_agg(jsonb_build_object(
           'table', ltrim(spec.key, '?'),
           'name', split_part(definition, ' ', 1),
           'type', split_part(definition, ' ', 2),
           'not_null', strpos(definition, ' not null') > 0,
           'default', nullif(split_part(definition, ' default ', 2), ''),
           'is_table_found', pg_class.oid is not null,
           'found', format_type(attribute.atttypid, attribute.atttypmod),
           'fits', coalesce(attribute.atttypid = to_regtype(split_part(definition, ' ', 2)),
                            spec.key like '?%' and pg_class.oid is null))
           order by spec.key, position)
    into v_columns
    from jsonb_each(v_spec) as spec
    cross join jsonb_array_elements_text(spec.value) with ordinality as expected (definition, position)
    left join pg_class
      on pg_class.relnamespace = to_regnamespace('e2e')
     and pg_class.relname = ltrim(spec.key, '?')
     and pg_class.relkind = 'r'
    left join pg_attribute as attribute
      on attribute.attrelid = pg_class.oid
     and attribute.attname = split_part(definition, ' ', 1)
     and not attribute.attisdropped;

  -- The tables of the old set-up in public; a table of one of these names that is another one stays.
  select array_agg(pg_class.oid)
    into v_old
    from (values
      ('e2e_config', 'key text, value jsonb, updated_at timestamptz'),
      ('test_command', 'id int4, command_id uuid, payload jsonb, behavior jsonb, created_at timestamptz, processed_at timestamptz, attempts int4, result jsonb')
    ) as spec (name, columns)
    join pg_class on pg_class.oid = to_regclass('public.' || name) and relkind = 'r'
   where not exists (
           select from unnest(string_to_array(columns, ', ')) as item
            where not exists (
                    select from pg_attribute
                     where attrelid = pg_class.oid
                       and attname = split_part(item, ' ', 1)
                       and atttypid = to_regtype(split_part(item, ' ', 2))));

  select string_agg(relname, ', ' order by relname)
    into v_found
    from pg_class
   where relnamespace = to_regnamespace('e2e') and relkind in ('r', 'p', 'v', 'm', 'f');

  if v_found is null then
    v_decision := case v_setting when 'on' then 'create' else 'none' end;
    v_tables := case v_setting when 'on' then v_old end;
  else
    v_decision := 'adopt';

    select array_agg(oid)
      into v_tables
      from pg_class
     where relnamespace = 'e2e'::regnamespace and relkind = 'r';

    select string_agg(difference, ', ' order by difference)
      into v_differs
      from (
        select distinct case when (item ->> 'is_table_found')::boolean
                             then format('column %s.%s (%s, expected %s)', item ->> 'table', item ->> 'name',
                                         coalesce(item ->> 'found', 'missing'), item ->> 'type')
                             else format('table %s (missing)', item ->> 'table') end as difference
          from jsonb_array_elements(v_columns) as item
         where not (item ->> 'fits')::boolean
        union all
        select format('table %s (unknown)', relname)
          from pg_class
         where relnamespace = 'e2e'::regnamespace
           and relkind in ('r', 'p', 'f')
           and relname not in (select item ->> 'table' from jsonb_array_elements(v_columns) as item)
        union all
        select format('column %s.%s (unknown)', relname, attname)
          from pg_class
          join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
         where relnamespace = 'e2e'::regnamespace
           and relname in (select item ->> 'table' from jsonb_array_elements(v_columns) as item)
           and not exists (select
                             from jsonb_array_elements(v_columns) as item
                            where item ->> 'table' = relname and item ->> 'name' = attname)
        union all
        select format('type %s (unknown)', typname)
          from pg_type
          left join pg_class on pg_class.oid = typrelid
         where typnamespace = 'e2e'::regnamespace
           and typtype in ('c', 'd', 'e', 'r')
           and coalesce(relkind, 'c') = 'c'
      ) as found;

    if v_differs is not null and v_setting = 'off' then
      raise warning 'the schema e2e is not one that can be adopted, and is left alone: %', v_differs;
      v_decision := 'none';
      v_tables := null;
    elsif v_differs is not null then
      raise exception 'the schema e2e exists%, and is not one that can be adopted',
        coalesce((select ' in addition to ' || string_agg(oid::regclass::text, ' and ') from unnest(v_old) as oid), '')
        using errcode = 'object_not_in_prerequisite_state',
              detail = format('Found in e2e: %s. Not as expected: %s.', v_found, v_differs),
              hint = 'Nothing of it was changed. With E2E_SCHEMA=off it is left alone. '
                     'docs/use/from-flyway.md lists the schemas that can be adopted; if yours should '
                     'be one of them, send this message to the maintainers of commandbus-db.';
    end if;
  end if;

  select string_agg(format('%s of %s', object, owner), ', ' order by object), min(owner)
    into v_found, v_owner
    from (
      select 'schema e2e' as object, pg_get_userbyid(nspowner) as owner
        from pg_namespace
       where nspname = 'e2e' and v_decision <> 'none' and not pg_has_role(nspowner, 'usage')
      union all
      select oid::regclass::text, pg_get_userbyid(relowner)
        from pg_class
       where oid = any (v_tables) and not pg_has_role(relowner, 'usage')
    ) as foreign_object;

  if v_found is not null then
    raise exception 'role % may not adopt the e2e tables: it does not have the rights of %',
      current_user, v_owner
      using errcode = 'insufficient_privilege',
            detail = format('Found: %s.', v_found),
            hint = format('As a superuser: grant %1$I to %2$I%3$s; it can be revoked afterwards. '
                          'Or make %2$I the owner of these objects.',
              v_owner, current_user,
              case when current_setting('server_version_num')::int >= 160000
                   then ' with inherit true' else '' end);
  end if;

  perform set_config('adoption.e2e', v_decision, true),
          set_config('adoption.schema', 'e2e', true),
          set_config('adoption.columns', v_columns::text, true),
          set_config('adoption.functions', '{}', true),
          set_config('adoption.tables', coalesce(v_tables, '{}')::text, true);

  -- Both are there: the schema's tables are the ones in use.
  if v_decision = 'adopt' and v_old is not null then
    insert into commandbus.adoption_report (finding, details)
    values ('The e2e tables in public stay there, because the schema e2e has its own.',
            jsonb_build_object('tables', array(select oid::regclass::text from unnest(v_old) as oid)));
    raise warning 'adoption: % stay in public, because the schema e2e has its own; rename them before commandbus.install_legacy_names() is called',
      (select string_agg(oid::regclass::text, ' and ') from unnest(v_old) as oid);
  end if;
end;
$$;
--! EndIncluded e2e/adoption/recognize.sql
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
--! Included e2e/adoption/move_tables.sql
-- Moves the tables of the old set-up from public to e2e, with their rows, as they are.
do $$
declare
  v_part record;
begin
  if current_setting('adoption.e2e') <> 'create' or current_setting('adoption.tables') = '{}' then
    return;
  end if;

  create schema if not exists e2e;

  for v_part in
    select format('alter table %s set schema e2e', oid::regclass) as statement
      from pg_class
     where oid = any (current_setting('adoption.tables')::oid[])
  loop
    execute v_part.statement;
  end loop;

  if to_regclass('e2e.e2e_config') is not null then
    alter table e2e.e2e_config rename to config;

    for v_part in
      select format('alter table e2e.config rename constraint %I to %I', conname,
                    replace(conname, 'e2e_config_', 'config_')) as statement
        from pg_constraint
       where conrelid = 'e2e.config'::regclass and strpos(conname, 'e2e_config_') > 0
    loop
      execute v_part.statement;
    end loop;
  end if;
end;
$$;
--! EndIncluded e2e/adoption/move_tables.sql
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
--! Included e2e/adoption/rename_parts.sql
-- Gives the indexes of adopted e2e tables the names of a new database, and removes those that repeat the
-- index of a unique constraint. Roles that could use the tables can use all of the schema.
do $$
declare
  v_statement  text;
  v_further    text;
begin
  if current_setting('adoption.tables') = '{}' then
    return;
  end if;

  for v_statement in
    select format('alter index %s rename to %I', min(indexrelid)::regclass, known.name)
      from pg_index
      join (values
        ('e2e.test_command USING btree (created_at)',  'test_command_created_at_idx'),
        ('e2e.batch_summary USING btree (created_at)', 'batch_summary_created_at_idx')
      ) as known (definition, name)
        on split_part(pg_get_indexdef(indexrelid), ' ON ', 2) = known.definition
     where to_regclass('e2e.' || known.name) is null
     group by known.name
     union all
    select format('drop index %s', pg_class.oid::regclass)
      from pg_class
     where relnamespace = 'e2e'::regnamespace
       and relname in ('ix_test_command_command_id', 'ix_batch_summary_batch_id')
  loop
    execute v_statement;
  end loop;

  select string_agg(format('%s %s', case relkind when 'i' then 'index' else 'view' end, pg_class.oid::regclass),
                    ', ' order by relname)
    into v_further
    from pg_class
   where relnamespace = 'e2e'::regnamespace
     and (relkind in ('v', 'm')
          or relkind = 'i'
             and relname not in ('test_command_created_at_idx', 'batch_summary_created_at_idx')
             and not exists (select from pg_constraint where conindid = pg_class.oid));

  if v_further is not null then
    insert into commandbus.adoption_report (finding, details)
    values ('Objects that do not belong to the e2e tables stay in their schema.',
            jsonb_build_object('objects', string_to_array(v_further, ', ')));
  end if;
end;
$$;
--! EndIncluded e2e/adoption/rename_parts.sql

do $$
declare
  v_queue text;
begin
  if current_setting('adoption.e2e') = 'none' then
    return;
  end if;

  create schema if not exists e2e;
  comment on schema e2e is 'For end-to-end tests: commands that behave as the test says.';

  create table if not exists e2e.test_command (
    id            serial       primary key,
    command_id    uuid         not null unique,
    payload       jsonb        not null default '{}',
    behavior      jsonb        not null,
    created_at    timestamptz  not null default now(),
    processed_at  timestamptz,
    attempts      int          not null default 0,
    result        jsonb
  );

  -- Lists the newest test commands.
  create index if not exists test_command_created_at_idx on e2e.test_command (created_at);

  comment on table e2e.test_command is 'A command whose handler does what the test says.';
  comment on column e2e.test_command.id is 'Counts up.';
  comment on column e2e.test_command.command_id is 'The command on the bus.';
  comment on column e2e.test_command.payload is 'The command''s payload.';
  comment on column e2e.test_command.behavior is 'What the handler does: succeed, fail, or take some time.';
  comment on column e2e.test_command.created_at is 'When the test created it.';
  comment on column e2e.test_command.processed_at is 'When the handler finished.';
  comment on column e2e.test_command.attempts is 'How often the handler was called.';
  comment on column e2e.test_command.result is 'What the handler returned.';

  create table if not exists e2e.config (
    key         text         primary key,
    value       jsonb        not null,
    updated_at  timestamptz  not null default now()
  );

  comment on table e2e.config is 'Settings of the test application.';
  comment on column e2e.config.key is 'The part of the application.';
  comment on column e2e.config.value is 'Its settings.';
  comment on column e2e.config.updated_at is 'When they last changed.';

  insert into e2e.config (key, value)
  values ('worker', '{"visibility_timeout": 30, "concurrency": 4, "poll_interval": 1.0, "batch_size": 10}'),
         ('retry', '{"max_attempts": 3, "backoff_schedule": [10, 60, 300]}'),
         ('runtime', '{"mode": "sync"}')
      on conflict (key) do nothing;

  create table if not exists e2e.batch_summary (
    id              serial       primary key,
    batch_id        uuid         not null unique,
    domain          text         not null default 'e2e',
    total_expected  int          not null default 0,
    success_count   int          not null default 0,
    failed_count    int          not null default 0,
    canceled_count  int          not null default 0,
    created_at      timestamptz  not null default now(),
    completed_at    timestamptz
  );

  -- Lists the newest summaries.
  create index if not exists batch_summary_created_at_idx on e2e.batch_summary (created_at);

  comment on table e2e.batch_summary is 'What the test application counted from the replies to a batch.';
  comment on column e2e.batch_summary.id is 'Counts up.';
  comment on column e2e.batch_summary.batch_id is 'The batch on the bus.';
  comment on column e2e.batch_summary.domain is 'The batch''s domain.';
  comment on column e2e.batch_summary.total_expected is 'How many replies the application expects.';
  comment on column e2e.batch_summary.success_count is 'How many replies reported success.';
  comment on column e2e.batch_summary.failed_count is 'How many reported failure.';
  comment on column e2e.batch_summary.canceled_count is 'How many reported a cancellation.';
  comment on column e2e.batch_summary.created_at is 'When the application created it.';
  comment on column e2e.batch_summary.completed_at is 'When the last reply was counted.';

  -- An existing queue keeps its messages.
  foreach v_queue in array array[
    'test__commands', 'test__replies',
    'payments__commands', 'payments__replies',
    'reports__commands', 'reports__replies',
    'e2e__commands', 'e2e__replies',
    'reporting__commands', 'reporting__replies', 'reporting__process_replies'
  ] loop
    if not exists (select from pgmq.meta where meta.queue_name = v_queue) then
      perform pgmq.create(v_queue);
    end if;
  end loop;
end;
$$;

--! Included e2e/adoption/rights.sql
-- Roles that could use the adopted e2e tables can use the schema, and a table that it lacked.
do $$
declare
  v_statement text;
begin
  for v_statement in
    with entry as (
      select relname, privilege_type,
             case grantee when 0 then 'public' else grantee::regrole::text end as grantee
        from (
          select relname, relacl as entries, relowner
            from pg_class
           where oid = any (current_setting('adoption.tables')::oid[])
           union all
          select relname, attacl, relowner
            from pg_attribute
            join pg_class on pg_class.oid = attrelid
           where attrelid = any (current_setting('adoption.tables')::oid[])
        ) as acl
        cross join aclexplode(entries)
       where grantee <> relowner
    )
    select distinct format('grant usage on schema e2e to %s', grantee)
      from entry
     union all
    select distinct format('grant %s on e2e.batch_summary to %s', privilege_type, grantee)
      from entry
     where relname = 'test_command'
       and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
       and to_regclass('e2e.batch_summary') <> all (current_setting('adoption.tables')::oid[])
     union all
    select distinct format('grant usage, select on sequence %s to %s', sequence, grantee)
      from entry
      join (values
        ('test_command', 'e2e.test_command_id_seq'),
        ('test_command', 'e2e.batch_summary_id_seq'),
        ('batch_summary', 'e2e.batch_summary_id_seq')
      ) as needed (of_table, sequence) on of_table = relname
     where privilege_type = 'INSERT'
  loop
    execute v_statement;
  end loop;
end;
$$;
--! EndIncluded e2e/adoption/rights.sql

do $$
begin
  if to_regnamespace('e2e') is not null
     and exists (select from pg_catalog.pg_roles where rolname = 'commandbus_client') then
    perform commandbus.grant_client('commandbus_client');
  end if;
end;
$$;
