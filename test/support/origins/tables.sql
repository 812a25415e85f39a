-- The schema commandbus that the client's project first shipped: four tables, no foreign key.

create schema commandbus;

create table commandbus.batch (
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

create index ix_batch_status on commandbus.batch (domain, status);
create index ix_batch_created on commandbus.batch (domain, created_at desc);

create table commandbus.command (
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
  correlation_id   uuid,
  batch_id         uuid
);

create unique index uq_command_domain_cmdid on commandbus.command (domain, command_id);
create index ix_command_status_type on commandbus.command (status, command_type);
create index ix_command_status_created on commandbus.command (status, created_at desc);
create index ix_command_updated on commandbus.command (updated_at);
create index ix_command_batch on commandbus.command (domain, batch_id) where batch_id is not null;

create table commandbus.audit (
  audit_id     bigserial   primary key,
  domain       text        not null,
  command_id   uuid        not null,
  event_type   text        not null,
  ts           timestamptz not null default now(),
  details_json jsonb
);

create index ix_audit_cmdid_ts on commandbus.audit (command_id, ts);

create table commandbus.payload_archive (
  domain       text        not null,
  command_id   uuid        not null,
  payload_json jsonb       not null,
  archived_at  timestamptz not null default now(),
  primary key (domain, command_id)
);
