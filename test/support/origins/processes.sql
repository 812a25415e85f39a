-- The process manager's tables, as the client's project added them.

create table commandbus.process (
  domain        varchar(255) not null,
  process_id    uuid         not null,
  process_type  varchar(255) not null,
  status        varchar(50)  not null default 'PENDING',
  current_step  varchar(255),
  state         jsonb        not null default '{}',
  error_code    varchar(255),
  error_message text,
  created_at    timestamptz  not null default now(),
  updated_at    timestamptz  not null default now(),
  completed_at  timestamptz,
  primary key (domain, process_id)
);

create index idx_process_type on commandbus.process (domain, process_type);
create index idx_process_status on commandbus.process (domain, status);
create index idx_process_created on commandbus.process (created_at);

create table commandbus.process_audit (
  id            bigserial    primary key,
  domain        varchar(255) not null,
  process_id    uuid         not null,
  step_name     varchar(255) not null,
  command_id    uuid         not null,
  command_type  varchar(255) not null,
  command_data  jsonb,
  sent_at       timestamptz  not null,
  reply_outcome varchar(50),
  reply_data    jsonb,
  received_at   timestamptz,
  foreign key (domain, process_id) references commandbus.process (domain, process_id)
);

create index idx_process_audit_process on commandbus.process_audit (domain, process_id);
create index idx_process_audit_command on commandbus.process_audit (command_id);
