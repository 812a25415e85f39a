--! Previous: sha1:0e3af04890560fe66fdb3247c00bc64dcb36a418
--! Hash: sha1:601173cdfaa11bbb481d080cfa5f023185f597f2
--! Message: e2e

-- Tables and queues for end-to-end tests; E2E_SCHEMA=off leaves them out of a deployment.
-- Only this migration reads the setting. Later ones check whether the schema e2e exists.
set local search_path = pg_catalog, pg_temp;

--! Included e2e/adoption/move_tables.sql
-- Moves the old e2e tables out of public, as commandbus/adoption does for the bus: as they are, with
-- their rows, grants and sequence. A table of one of these names that is something else stays.
do $$
declare
  v_move      record;
  v_rights    text;
  v_statement text;
begin
  if ':E2E_SCHEMA' = 'off' then
    return;
  end if;

  for v_move in
    select old_name, new_name, pg_class.oid, relowner, pg_get_userbyid(relowner) as owner, relacl,
           pg_has_role(relowner, 'usage') as is_ours_to_move
      from (values
        ('e2e_config', 'config', 'key text, value jsonb, updated_at timestamptz'),
        ('test_command', 'test_command', 'id int4, command_id uuid, payload jsonb, behavior jsonb, created_at timestamptz, processed_at timestamptz, attempts int4, result jsonb')
      ) as spec (old_name, new_name, columns)
      join pg_class on pg_class.oid = to_regclass('public.' || old_name) and relkind = 'r'
     where not exists (
             select from unnest(string_to_array(columns, ', ')) as item
              where not exists (
                      select from pg_attribute
                       where attrelid = pg_class.oid
                         and attname = split_part(item, ' ', 1)
                         and atttypid = to_regtype(split_part(item, ' ', 2))))
  loop
    if not v_move.is_ours_to_move then
      raise exception 'role % may not take over public.%: it does not have the rights of %',
        current_user, v_move.old_name, v_move.owner
        using errcode = 'insufficient_privilege',
              hint = format('As a superuser: grant %I to %I%s; it can be revoked afterwards.',
                v_move.owner, current_user,
                case when current_setting('server_version_num')::int >= 160000
                     then ' with inherit true' else '' end);
    end if;

    if to_regclass('e2e.' || v_move.new_name) is not null then
      raise exception 'both public.% and e2e.% are there', v_move.old_name, v_move.new_name
        using errcode = 'object_not_in_prerequisite_state',
              hint = 'See which of them is needed, and drop or rename the other; then start again.';
    end if;

    perform set_config('client_min_messages', 'warning', true);
    create schema if not exists e2e;

    v_rights := (select string_agg(privilege_type, ', ')
                   from aclexplode(coalesce(v_move.relacl, acldefault('r', v_move.relowner)))
                  where grantee = v_move.relowner);

    execute format('alter table public.%I set schema e2e', v_move.old_name);

    if v_move.old_name <> v_move.new_name then
      execute format('alter table e2e.%I rename to %I', v_move.old_name, v_move.new_name);
    end if;

    execute format('alter table e2e.%I owner to current_user', v_move.new_name);

    if v_move.owner <> current_user and v_rights is not null then
      execute format('grant %s on e2e.%I to %I', v_rights, v_move.new_name, v_move.owner);
    end if;

    for v_statement in
      with users as (
        select case grantee when 0 then 'public' else grantee::regrole::text end as grantee,
               bool_or(privilege_type = 'INSERT') as may_insert
          from (
            select relacl as entries from pg_class where oid = v_move.oid
             union all
            select attacl from pg_attribute where attrelid = v_move.oid
          ) as acl
          cross join aclexplode(entries)
         where grantee <> quote_ident(current_user)::regrole
         group by 1
      )
      select format('alter table %s rename constraint %I to %I',
               conrelid::regclass, conname, replace(conname, 'e2e_config_', 'config_'))
        from pg_constraint
       where conrelid = v_move.oid and strpos(conname, 'e2e_config_') > 0
       union all
      (select format('alter index %s rename to test_command_created_at_idx', indexrelid::regclass)
         from pg_index
        where indrelid = v_move.oid
          and pg_get_indexdef(indexrelid) like '% ON e2e.test\_command USING btree (created_at)'
          and to_regclass('e2e.test_command_created_at_idx') is null
        limit 1)
       union all
      select format('grant usage on schema e2e to %s', grantee)
        from users
       union all
      select format('grant usage, select on sequence %s to %s',
               pg_get_serial_sequence('e2e.test_command', 'id'), grantee)
        from users
       where v_move.new_name = 'test_command' and may_insert
    loop
      execute v_statement;
    end loop;
  end loop;

  if to_regclass('e2e.test_command') is not null then
    alter table e2e.test_command alter column behavior drop default;
  end if;
end;
$$;
--! EndIncluded e2e/adoption/move_tables.sql

do $$
declare
  v_queue text;
begin
  if ':E2E_SCHEMA' not in ('on', 'off') then
    raise exception 'E2E_SCHEMA is "%"; it has to be "on" or "off"', ':E2E_SCHEMA'
      using errcode = 'invalid_parameter_value';
  end if;

  if ':E2E_SCHEMA' = 'off' then
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

do $$
begin
  if to_regnamespace('e2e') is not null
     and exists (select from pg_catalog.pg_roles where rolname = 'commandbus_client') then
    perform commandbus.grant_client('commandbus_client');
  end if;
end;
$$;
