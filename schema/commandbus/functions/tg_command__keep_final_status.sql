-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.tg_command__keep_final_status()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception 'command % is %, which is final', OLD.command_id, OLD.status
    using errcode = 'object_not_in_prerequisite_state',
          detail = format('The update would set it to %s.', NEW.status),
          hint = 'Another session has finished the command. Roll back, and read it again.';
end;
$function$;
comment on function commandbus.tg_command__keep_final_status() is 'Rejects an update that changes the status of a command that is COMPLETED, CANCELED or FAILED. Raises object_not_in_prerequisite_state.';
revoke all on function commandbus.tg_command__keep_final_status() from public;
