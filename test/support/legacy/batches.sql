-- What the init script added when batches came: to run after commands.sql.

create table public.command_bus_batch (
  domain                   text        not null,
  batch_id                 uuid        not null,
  name                     text,
  custom_data              jsonb,
  status                   text        not null default 'PENDING',
  total_count              int         not null default 0,
  completed_count          int         not null default 0,
  canceled_count           int         not null default 0,
  in_troubleshooting_count int         not null default 0,
  created_at               timestamptz not null default now(),
  started_at               timestamptz,
  completed_at             timestamptz,
  primary key (domain, batch_id)
);

create index ix_command_bus_batch_status on public.command_bus_batch (domain, status);
create index ix_command_bus_batch_created on public.command_bus_batch (domain, created_at desc);

alter table public.command_bus_command add column batch_id uuid;
create index ix_command_bus_command_batch
  on public.command_bus_command (domain, batch_id) where batch_id is not null;
