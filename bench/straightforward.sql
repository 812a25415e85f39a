-- The straightforward design, for comparison: a batch has one counter row, its own, and every
-- receive and every finish locks it. Put over the functions of a migrated database, whose tables,
-- indexes and constraints it shares, so that nothing but the counting differs.

create or replace function commandbus.sp_start_batch(p_domain text, p_batch_id uuid)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
begin
  select batch.status
    into v_status
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     for no key update;

  if v_status is distinct from 'PENDING' then
    return false;
  end if;

  update commandbus.batch
     set status = 'IN_PROGRESS',
         started_at = now()
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_batch_id, 'BATCH_STARTED', jsonb_build_object('batch_id', p_batch_id));

  return true;
end;
$$;

create or replace function commandbus.sp_receive_command(
  p_domain       text,
  p_command_id   uuid,
  p_new_status   text   default 'IN_PROGRESS',
  p_msg_id       bigint default null,
  p_max_attempts int    default null
)
returns table (
  domain text, command_id uuid, command_type text, status text, attempts int, max_attempts int,
  msg_id bigint, correlation_id uuid, reply_queue text, last_error_type text, last_error_code text,
  last_error_msg text, created_at timestamptz, updated_at timestamptz, batch_id uuid
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_command commandbus.command;
begin
  update commandbus.command
     set status = p_new_status,
         attempts = command.attempts + 1,
         updated_at = now()
   where command.domain = p_domain
     and command.command_id = p_command_id
     and command.status not in ('COMPLETED', 'CANCELED', 'IN_TROUBLESHOOTING_QUEUE')
  returning command.* into v_command;

  if not found then
    return;
  end if;

  v_command.msg_id := coalesce(p_msg_id, v_command.msg_id);
  v_command.max_attempts := coalesce(p_max_attempts, v_command.max_attempts);

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, 'RECEIVED',
          jsonb_build_object('msg_id', v_command.msg_id, 'attempt', v_command.attempts,
                             'max_attempts', v_command.max_attempts));

  perform commandbus.sp_start_batch(p_domain, v_command.batch_id);

  return query
  select v_command.domain, v_command.command_id, v_command.command_type, v_command.status,
         v_command.attempts, v_command.max_attempts, v_command.msg_id, v_command.correlation_id,
         v_command.reply_queue, v_command.last_error_type, v_command.last_error_code,
         v_command.last_error_msg, v_command.created_at, v_command.updated_at, v_command.batch_id;
end;
$$;

create or replace function commandbus.sp_finish_command(
  p_domain     text,
  p_command_id uuid,
  p_status     text,
  p_event_type text,
  p_error_type text  default null,
  p_error_code text  default null,
  p_error_msg  text  default null,
  p_details    jsonb default null,
  p_batch_id   uuid  default null
)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_command commandbus.command;
  v_batch   commandbus.batch;
begin
  select command.*
    into v_command
    from commandbus.command
   where command.domain = p_domain
     and command.command_id = p_command_id
     for no key update;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, p_event_type, p_details);

  if v_command.status is null
     or v_command.status in ('COMPLETED', 'CANCELED', p_status)
     or (v_command.status = 'IN_TROUBLESHOOTING_QUEUE'
         and p_status not in ('COMPLETED', 'CANCELED')) then
    return false;
  end if;

  update commandbus.command
     set status = p_status,
         last_error_type = coalesce(p_error_type, command.last_error_type),
         last_error_code = coalesce(p_error_code, command.last_error_code),
         last_error_msg = coalesce(p_error_msg, command.last_error_msg),
         updated_at = now()
   where command.domain = p_domain
     and command.command_id = p_command_id;

  if v_command.batch_id is null then
    return false;
  end if;

  perform commandbus.sp_start_batch(p_domain, v_command.batch_id);

  update commandbus.batch
     set completed_count = batch.completed_count + (p_status = 'COMPLETED')::int,
         canceled_count = batch.canceled_count + (p_status = 'CANCELED')::int,
         in_troubleshooting_count = batch.in_troubleshooting_count
           + (p_status = 'IN_TROUBLESHOOTING_QUEUE')::int
           - (v_command.status = 'IN_TROUBLESHOOTING_QUEUE')::int
   where batch.domain = p_domain
     and batch.batch_id = v_command.batch_id
  returning batch.* into v_batch;

  if v_batch.completed_count + v_batch.canceled_count <> v_batch.total_count
     or v_batch.in_troubleshooting_count <> 0 then
    return false;
  end if;

  update commandbus.batch
     set status = case v_batch.canceled_count when 0 then 'COMPLETED' else 'COMPLETED_WITH_FAILURES' end,
         completed_at = now()
   where batch.domain = p_domain
     and batch.batch_id = v_command.batch_id;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, v_command.batch_id, 'BATCH_COMPLETED',
          jsonb_build_object('batch_id', v_command.batch_id,
                             'total_count', v_batch.total_count,
                             'completed_count', v_batch.completed_count,
                             'canceled_count', v_batch.canceled_count));
  return true;
end;
$$;
