-- A command bus as Flyway set it up for client releases 0.1.0 to 0.1.9, written for this example. The
-- functions do what the application here needs, and no more.
create extension if not exists pgmq;

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

create function commandbus.sp_start_batch(p_domain text, p_batch_id uuid) returns boolean
language plpgsql as $$
begin
  update commandbus.batch
     set status = 'IN_PROGRESS', started_at = now()
   where batch.domain = p_domain and batch.batch_id = p_batch_id and batch.status = 'PENDING';
  if not found then return false; end if;
  insert into commandbus.audit (domain, command_id, event_type)
  values (p_domain, p_batch_id, 'BATCH_STARTED');
  return true;
end;
$$;

create function commandbus.sp_update_batch_counters(p_domain text, p_batch_id uuid, p_update_type text)
returns boolean
language plpgsql as $$
begin
  update commandbus.batch
     set completed_count = batch.completed_count + (p_update_type in ('complete', 'tsq_complete'))::int,
         canceled_count = batch.canceled_count + (p_update_type = 'tsq_cancel')::int,
         in_troubleshooting_count = batch.in_troubleshooting_count
           + case when p_update_type = 'tsq_move' then 1
                  when p_update_type like 'tsq_%' then -1
                  else 0 end
   where batch.domain = p_domain and batch.batch_id = p_batch_id;
  update commandbus.batch
     set status = case when batch.canceled_count = 0 then 'COMPLETED' else 'COMPLETED_WITH_FAILURES' end,
         completed_at = now()
   where batch.domain = p_domain and batch.batch_id = p_batch_id and batch.completed_at is null
     and batch.completed_count + batch.canceled_count = batch.total_count;
  if not found then return false; end if;
  insert into commandbus.audit (domain, command_id, event_type)
  values (p_domain, p_batch_id, 'BATCH_COMPLETED');
  return true;
end;
$$;

create function commandbus.sp_receive_command(
  p_domain text, p_command_id uuid, p_new_status text default 'IN_PROGRESS',
  p_msg_id bigint default null, p_max_attempts int default null
) returns table (
  domain text, command_id uuid, command_type text, status text, attempts int, max_attempts int,
  msg_id bigint, correlation_id uuid, reply_queue text, last_error_type text, last_error_code text,
  last_error_msg text, created_at timestamptz, updated_at timestamptz, batch_id uuid
)
language plpgsql as $$
declare
  v_command commandbus.command;
begin
  update commandbus.command
     set status = p_new_status, attempts = command.attempts + 1, updated_at = now()
   where command.domain = p_domain and command.command_id = p_command_id
     and command.status in ('PENDING', 'IN_PROGRESS')
  returning command.* into v_command;
  if not found then return; end if;
  insert into commandbus.audit (domain, command_id, event_type)
  values (p_domain, p_command_id, 'RECEIVED');
  perform commandbus.sp_start_batch(p_domain, v_command.batch_id);
  return query
  select v_command.domain, v_command.command_id, v_command.command_type, v_command.status,
         v_command.attempts, coalesce(p_max_attempts, v_command.max_attempts),
         coalesce(p_msg_id, v_command.msg_id), v_command.correlation_id, v_command.reply_queue,
         v_command.last_error_type, v_command.last_error_code, v_command.last_error_msg,
         v_command.created_at, v_command.updated_at, v_command.batch_id;
end;
$$;

create function commandbus.sp_finish_command(
  p_domain text, p_command_id uuid, p_status text, p_event_type text,
  p_error_type text default null, p_error_code text default null, p_error_msg text default null,
  p_details jsonb default null, p_batch_id uuid default null
) returns boolean
language plpgsql as $$
begin
  update commandbus.command
     set status = p_status, last_error_type = p_error_type, last_error_code = p_error_code,
         last_error_msg = p_error_msg, updated_at = now()
   where command.domain = p_domain and command.command_id = p_command_id;
  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, p_event_type, p_details);
  return commandbus.sp_update_batch_counters(
    p_domain, p_batch_id, case p_status when 'COMPLETED' then 'complete' else 'tsq_move' end
  );
end;
$$;

create function commandbus.sp_fail_command(
  p_domain text, p_command_id uuid, p_error_type text, p_error_code text, p_error_msg text,
  p_attempt int, p_max_attempts int, p_msg_id bigint
) returns boolean
language plpgsql as $$
begin
  insert into commandbus.audit (domain, command_id, event_type) values (p_domain, p_command_id, 'FAILED');
  return true;
end;
$$;

create function commandbus.sp_tsq_complete(p_domain text, p_batch_id uuid) returns boolean
language sql as $$ select commandbus.sp_update_batch_counters(p_domain, p_batch_id, 'tsq_complete') $$;

create function commandbus.sp_tsq_cancel(p_domain text, p_batch_id uuid) returns boolean
language sql as $$ select commandbus.sp_update_batch_counters(p_domain, p_batch_id, 'tsq_cancel') $$;

create function commandbus.sp_tsq_retry(p_domain text, p_batch_id uuid) returns boolean
language sql as $$ select commandbus.sp_update_batch_counters(p_domain, p_batch_id, 'tsq_retry') $$;
