-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_update_batch_counters(p_domain text, p_batch_id uuid, p_update_type text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_counter_rows int;
  v_completed int := 0;
  v_canceled int := 0;
  v_failed int := 0;
  v_in_troubleshooting int := 0;
  v_reported int := 0;
  v_is_complete boolean;
begin
  case p_update_type
    when 'complete' then
      v_completed := 1;
    when 'failed' then
      v_failed := 1;
    when 'tsq_move' then
      v_in_troubleshooting := 1;
    when 'tsq_complete' then
      v_completed := 1; v_in_troubleshooting := -1;
    when 'tsq_cancel' then
      v_canceled := 1; v_in_troubleshooting := -1;
    when 'tsq_retry' then
      v_in_troubleshooting := -1;
    else
      raise exception 'counters have no update of type "%"', p_update_type
        using errcode = 'invalid_parameter_value',
              hint = 'complete, failed, tsq_move, tsq_complete, tsq_cancel or tsq_retry.';
  end case;

  -- The start decides how a batch is counted. While the batch is pending, lock it against a start.
  perform commandbus.lock_pending_batch(p_domain, p_batch_id, p_wait => true);

  select batch.counter_rows
    into v_counter_rows
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     and batch.batch_type = 'COMMAND';

  if not found then
    return false;
  end if;

  -- The counter row changes before the batch's own row, whose bounds may not allow it. Then both
  -- stay as they were.
  begin
    if v_counter_rows > 0 and p_update_type in ('complete', 'failed', 'tsq_move') then
      v_reported := commandbus.release_place(p_domain, p_batch_id, 0::smallint);
    elsif v_counter_rows > 0 and p_update_type = 'tsq_retry' then
      update commandbus.batch_counter
         set quota = batch_counter.quota + 1
       where batch_counter.domain = p_domain
         and batch_counter.batch_id = p_batch_id
         and batch_counter.counter_no = 0;
    end if;

    v_is_complete := commandbus.move_batch_counts(p_domain, p_batch_id, v_completed + v_reported,
                                                  v_canceled, v_failed, v_in_troubleshooting);

    if v_is_complete is null then
      raise exception 'the bounds do not allow this' using errcode = 'KBUND';
    end if;
  exception when sqlstate 'KBUND' then
    return false;
  end;

  return v_is_complete;
end;
$function$;
comment on function commandbus.sp_update_batch_counters(text, uuid, text) is 'Moves a batch''s counters by one, within their bounds. True if this completed the batch. Raises invalid_parameter_value.';
revoke all on function commandbus.sp_update_batch_counters(text, uuid, text) from public;
