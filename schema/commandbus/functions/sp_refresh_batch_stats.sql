-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_refresh_batch_stats(p_domain text, p_batch_id uuid)
 RETURNS TABLE(completed_count bigint, failed_count bigint, canceled_count bigint, in_troubleshooting_count bigint, is_complete boolean)
 LANGUAGE plpgsql
 ROWS 1
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_batch commandbus.batch;
begin
  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  if v_batch.batch_type = 'PROCESS' then
    v_batch := commandbus.count_processes(p_domain, p_batch_id);
  elsif v_batch.counter_rows > 0 and v_batch.status = 'IN_PROGRESS' then
    v_batch := commandbus.flush_counter_rows(p_domain, p_batch_id);
  end if;

  if v_batch.batch_id is null then
    return;
  end if;

  completed_count := v_batch.completed_count;
  failed_count := v_batch.failed_count;
  canceled_count := v_batch.canceled_count;
  in_troubleshooting_count := v_batch.in_troubleshooting_count;
  is_complete := v_batch.total_count > 0
    and completed_count + canceled_count + failed_count = v_batch.total_count
    and in_troubleshooting_count = 0;
  return next;
end;
$function$;
comment on function commandbus.sp_refresh_batch_stats(text, uuid) is 'Brings a batch''s row up to date and returns its counts: counts the processes of a PROCESS batch, adds the counter rows of a large COMMAND batch. Returns no row for an unknown batch.';
revoke all on function commandbus.sp_refresh_batch_stats(text, uuid) from public;
