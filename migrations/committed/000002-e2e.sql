--! Previous: sha1:4368d98dab589427df7fa57a31f539f7faa925e1
--! Hash: sha1:7ce893fa3a8bfc73690dc53bb680ed1d54dae61b
--! Message: e2e

-- Tables and queues for end-to-end tests; a deployment leaves them out with E2E_SCHEMA=off.
-- That is decided here and only here: later migrations ask whether the schema e2e is there.
set local search_path = pg_catalog, pg_temp;

do $$
declare
  v_domain text;
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
  comment on schema e2e is 'For end-to-end tests: commands whose behaviour a test prescribes.';

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

  -- The newest test commands.
  create index if not exists test_command_created_at_idx on e2e.test_command (created_at);

  comment on table e2e.test_command is 'A command whose handler does what the test says.';
  comment on column e2e.test_command.id is 'Counts up.';
  comment on column e2e.test_command.command_id is 'The command on the bus.';
  comment on column e2e.test_command.payload is 'What was sent with it.';
  comment on column e2e.test_command.behavior is 'What the handler is to do: succeed, fail, take its time.';
  comment on column e2e.test_command.created_at is 'When the test made it.';
  comment on column e2e.test_command.processed_at is 'When the handler was done with it.';
  comment on column e2e.test_command.attempts is 'How often the handler was called.';
  comment on column e2e.test_command.result is 'What the handler answered.';

  create table if not exists e2e.config (
    key         text         primary key,
    value       jsonb        not null,
    updated_at  timestamptz  not null default now()
  );

  comment on table e2e.config is 'Settings of the test application.';
  comment on column e2e.config.key is 'The part of the application.';
  comment on column e2e.config.value is 'Its settings.';
  comment on column e2e.config.updated_at is 'When they were last set.';

  insert into e2e.config (key, value)
  values ('worker', '{"visibility_timeout": 30, "concurrency": 4, "poll_interval": 1.0, "batch_size": 10}'),
         ('retry', '{"max_attempts": 3, "backoff_schedule": [10, 60, 300]}')
      on conflict (key) do nothing;

  -- A queue that is there already keeps its messages.
  foreach v_domain in array array['test', 'payments', 'reports', 'e2e'] loop
    foreach v_queue in array array[v_domain || '__commands', v_domain || '__replies'] loop
      if not exists (select from pgmq.meta where meta.queue_name = v_queue) then
        perform pgmq.create(v_queue);
      end if;
    end loop;
  end loop;
end;
$$;

do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'commandbus_client') then
    perform commandbus.grant_client('commandbus_client');
  end if;
end;
$$;
