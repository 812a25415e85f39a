-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.move_batch_counts(p_domain text, p_batch_id uuid, p_completed integer, p_canceled integer, p_failed integer, p_in_troubleshooting integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_batch commandbus.batch;
begin
  -- The conditions and the sums see the row as it is once this session has its lock.
  update commandbus.batch
     set completed_count = batch.completed_count + p_completed,
         canceled_count = batch.canceled_count + p_canceled,
         failed_count = batch.failed_count + p_failed,
         in_troubleshooting_count = batch.in_troubleshooting_count + p_in_troubleshooting
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     and batch.batch_type = 'COMMAND'
     and batch.in_troubleshooting_count + p_in_troubleshooting >= 0
     and batch.completed_count + batch.canceled_count + batch.failed_count
         + batch.in_troubleshooting_count
         + p_completed + p_canceled + p_failed + p_in_troubleshooting <= batch.total_count
  returning batch.* into v_batch;

  if not found then
    return null;
  end if;

  if v_batch.completed_count + v_batch.canceled_count + v_batch.failed_count < v_batch.total_count
     or v_batch.total_count = 0
     or v_batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES') then
    return false;
  end if;

  update commandbus.batch
     set status = case when batch.canceled_count + batch.failed_count > 0
                       then 'COMPLETED_WITH_FAILURES' else 'COMPLETED' end,
         started_at = coalesce(batch.started_at, now()),
         completed_at = now()
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_batch_id, 'BATCH_COMPLETED',
          jsonb_build_object('batch_id', p_batch_id,
                             'total_count', v_batch.total_count,
                             'completed_count', v_batch.completed_count,
                             'canceled_count', v_batch.canceled_count,
                             'failed_count', v_batch.failed_count));

  return true;
end;
$function$;
comment on function commandbus.move_batch_counts(text, uuid, integer, integer, integer, integer) is 'Adds to the counts of a batch of commands, within their bounds. True if this completed the batch, null if the bounds do not allow it.';
revoke all on function commandbus.move_batch_counts(text, uuid, integer, integer, integer, integer) from public;
