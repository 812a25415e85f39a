-- The tables and queues for end-to-end tests.

create schema e2e;

create table e2e.test_command (
  id           serial      primary key,
  command_id   uuid        not null unique,
  payload      jsonb       not null default '{}',
  behavior     jsonb       not null,
  created_at   timestamptz default now(),
  processed_at timestamptz,
  attempts     int         default 0,
  result       jsonb
);

create index ix_test_command_command_id on e2e.test_command (command_id);
create index ix_test_command_created_at on e2e.test_command (created_at);

create table e2e.config (
  key        text        primary key,
  value      jsonb       not null,
  updated_at timestamptz default now()
);

insert into e2e.config (key, value) values
  ('worker', '{"visibility_timeout": 30, "concurrency": 4, "poll_interval": 1.0, "batch_size": 10}'),
  ('retry', '{"max_attempts": 3, "backoff_schedule": [10, 60, 300]}');

select pgmq.create(domain || suffix)
  from unnest(array['test', 'payments', 'reports', 'e2e']) as domain
  cross join unnest(array['__commands', '__replies']) as suffix;
