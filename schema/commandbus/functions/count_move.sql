-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.count_move(p_batch commandbus.batch, p_command_id uuid, p_from text, p_to text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_completed int := case when p_to = 'COMPLETED' then 1 else 0 end;
  v_canceled int := case when p_to = 'CANCELED' then 1 else 0 end;
  v_failed int := case when p_to = 'FAILED' then 1 else 0 end;
  v_in_troubleshooting int := case when p_to = 'IN_TROUBLESHOOTING_QUEUE' then 1 else 0 end
                            - case when p_from = 'IN_TROUBLESHOOTING_QUEUE' then 1 else 0 end;
begin
  if p_batch.counter_rows > 0 then
    v_completed := commandbus.count_in_rows(p_batch, p_command_id, p_from, p_to);

    if v_completed is null then
      return null;
    end if;
  end if;

  -- A counter row has counted the command, and has nothing to report yet.
  if v_completed = 0 and v_canceled = 0 and v_failed = 0 and v_in_troubleshooting = 0 then
    return false;
  end if;

  return commandbus.move_batch_counts(p_batch.domain, p_batch.batch_id, v_completed, v_canceled,
                                      v_failed, v_in_troubleshooting);
end;
$function$;
comment on function commandbus.count_move(commandbus.batch, uuid, text, text) is 'Counts a command for its batch, which has started; the caller has locked the command. True if this completed the batch, null if the batch has counted total_count commands already.';
revoke all on function commandbus.count_move(commandbus.batch, uuid, text, text) from public;
