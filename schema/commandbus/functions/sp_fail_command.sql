-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_fail_command(p_domain text, p_command_id uuid, p_error_type text, p_error_code text, p_error_msg text, p_attempt integer, p_max_attempts integer, p_msg_id bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update commandbus.command
     set last_error_type = p_error_type,
         last_error_code = p_error_code,
         last_error_msg = p_error_msg,
         updated_at = now()
   where command.domain = p_domain
     and command.command_id = p_command_id
     and command.status not in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE');

  if not found then
    return false;
  end if;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, 'FAILED',
          jsonb_build_object('msg_id', p_msg_id,
                             'attempt', p_attempt,
                             'max_attempts', p_max_attempts,
                             'error_type', p_error_type,
                             'error_code', p_error_code,
                             'error_msg', p_error_msg));

  return true;
end;
$function$;
comment on function commandbus.sp_fail_command(text, uuid, text, text, text, integer, integer, bigint) is 'Records a failure that will be retried. False if the command is unknown, final or in troubleshooting.';
revoke all on function commandbus.sp_fail_command(text, uuid, text, text, text, integer, integer, bigint) from public;
