-- The old init script's tables, in the shape of the oldest deployments: no batches.

create table public.command_bus_command (
  domain           text        not null,
  queue_name       text        not null,
  msg_id           bigint,
  command_id       uuid        not null,
  command_type     text        not null,
  status           text        not null,
  attempts         int         not null default 0,
  max_attempts     int         not null,
  lease_expires_at timestamptz,
  last_error_type  text,
  last_error_code  text,
  last_error_msg   text,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  reply_queue      text        not null default '',
  correlation_id   uuid
);

create unique index uq_command_bus_command_domain_cmdid
  on public.command_bus_command (domain, command_id);
create index ix_command_bus_command_status_type
  on public.command_bus_command (status, command_type);
create index ix_command_bus_command_status_created
  on public.command_bus_command (status, created_at desc);
create index ix_command_bus_command_updated on public.command_bus_command (updated_at);

create table public.command_bus_audit (
  audit_id     bigserial   primary key,
  domain       text        not null,
  command_id   uuid        not null,
  event_type   text        not null,
  ts           timestamptz not null default now(),
  details_json jsonb
);

create index ix_command_bus_audit_cmdid_ts on public.command_bus_audit (command_id, ts);

create table public.command_bus_payload_archive (
  domain       text        not null,
  command_id   uuid        not null,
  payload_json jsonb       not null,
  archived_at  timestamptz not null default now(),
  primary key (domain, command_id)
);

create table public.e2e_config (
  key        text        primary key,
  value      jsonb       not null,
  updated_at timestamptz not null default now()
);

insert into public.e2e_config (key, value) values
  ('worker', '{"visibility_timeout": 30, "concurrency": 4, "poll_interval": 1.0, "batch_size": 10}'),
  ('retry', '{"max_attempts": 3, "backoff_schedule": [10, 60, 300]}');
