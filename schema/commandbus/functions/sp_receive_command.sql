-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_receive_command(p_domain text, p_command_id uuid, p_new_status text DEFAULT 'IN_PROGRESS'::text, p_msg_id bigint DEFAULT NULL::bigint, p_max_attempts integer DEFAULT NULL::integer)
 RETURNS TABLE(domain text, command_id uuid, command_type text, status text, attempts integer, max_attempts integer, msg_id bigint, correlation_id uuid, reply_queue text, last_error_type text, last_error_code text, last_error_msg text, created_at timestamp with time zone, updated_at timestamp with time zone, batch_id uuid)
 LANGUAGE plpgsql
 ROWS 1
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_batch_is_pending boolean;
begin
  if p_new_status is null or p_new_status not in ('IN_PROGRESS', 'PENDING') then
    raise exception 'a receive cannot set the status "%"', p_new_status
      using errcode = 'invalid_parameter_value',
            hint = 'IN_PROGRESS or PENDING.';
  end if;

  update commandbus.command
     set status = p_new_status,
         attempts = command.attempts + 1,
         finished_as = null,
         updated_at = now()
   where command.domain = p_domain
     and command.command_id = p_command_id
     and command.status not in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE')
  returning command.domain, command.command_id, command.command_type, command.status,
            command.attempts, coalesce(p_max_attempts, command.max_attempts),
            coalesce(p_msg_id, command.msg_id), command.correlation_id, command.reply_queue,
            command.last_error_type, command.last_error_code, command.last_error_msg,
            command.created_at, command.updated_at, command.batch_id,
            exists (select
                      from commandbus.batch
                     where batch.domain = command.domain
                       and batch.batch_id = command.batch_id
                       and batch.batch_type = 'COMMAND'
                       and batch.status = 'PENDING')
       into domain, command_id, command_type, status, attempts, max_attempts, msg_id,
            correlation_id, reply_queue, last_error_type, last_error_code, last_error_msg,
            created_at, updated_at, batch_id, v_batch_is_pending;

  if not found then
    return;
  end if;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, 'RECEIVED',
          jsonb_build_object('msg_id', msg_id, 'attempt', attempts, 'max_attempts', max_attempts));

  -- A receive never waits for a batch. If another session has locked it, the next receive or finish
  -- starts it.
  if v_batch_is_pending then
    perform commandbus.start_batch(p_domain, batch_id, p_wait => false);
  end if;

  return next;
end;
$function$;
comment on function commandbus.sp_receive_command(text, uuid, text, bigint, integer) is 'Takes a command for processing and starts its batch. Returns no row if the command is unknown, final or in troubleshooting. Raises invalid_parameter_value.';
revoke all on function commandbus.sp_receive_command(text, uuid, text, bigint, integer) from public;
