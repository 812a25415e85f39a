-- The eight procedures by their old names. Only their names and signatures matter: adoption finds and
-- removes them, and no test calls them before.

create function public.sp_receive_command(
  p_domain text, p_command_id uuid, p_new_status text default 'IN_PROGRESS',
  p_msg_id bigint default null, p_max_attempts int default null
) returns table (domain text, command_id uuid, status text, attempts int)
language sql as $$
  update command_bus_command as command
     set status = p_new_status, attempts = command.attempts + 1
   where command.domain = p_domain and command.command_id = p_command_id
  returning command.domain, command.command_id, command.status, command.attempts;
$$;

create function public.sp_finish_command(
  p_domain text, p_command_id uuid, p_status text, p_event_type text,
  p_error_type text default null, p_error_code text default null, p_error_msg text default null,
  p_details jsonb default null, p_batch_id uuid default null
) returns boolean
language plpgsql as $$
begin
  update command_bus_command set status = p_status
   where domain = p_domain and command_id = p_command_id;
  return found;
end;
$$;

create function public.sp_fail_command(
  p_domain text, p_command_id uuid, p_error_type text, p_error_code text, p_error_msg text,
  p_attempt int, p_max_attempts int, p_msg_id bigint
) returns boolean
language sql as 'select true';

create function public.sp_update_batch_counters(p_domain text, p_batch_id uuid, p_update_type text)
returns boolean
language sql as 'select false';

create function public.sp_start_batch(p_domain text, p_batch_id uuid) returns boolean
language sql as 'select false';

create function public.sp_tsq_complete(p_domain text, p_batch_id uuid) returns boolean
language sql as $$ select sp_update_batch_counters(p_domain, p_batch_id, 'tsq_complete') $$;

create function public.sp_tsq_cancel(p_domain text, p_batch_id uuid) returns boolean
language sql as $$ select sp_update_batch_counters(p_domain, p_batch_id, 'tsq_cancel') $$;

create function public.sp_tsq_retry(p_domain text, p_batch_id uuid) returns boolean
language sql as $$ select sp_update_batch_counters(p_domain, p_batch_id, 'tsq_retry') $$;
