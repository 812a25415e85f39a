-- The e2e application's table, without a default for behavior; the other shape has one.

create table public.test_command (
  id           serial      primary key,
  command_id   uuid        not null unique,
  payload      jsonb       not null default '{}',
  behavior     jsonb       not null,
  created_at   timestamptz not null default now(),
  processed_at timestamptz,
  attempts     int         not null default 0,
  result       jsonb
);

create index ix_test_command_command_id on public.test_command (command_id);
create index ix_test_command_created on public.test_command (created_at);
