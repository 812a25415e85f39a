-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.start_batch(p_domain text, p_batch_id uuid, p_wait boolean)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_batch commandbus.batch;
  v_counter_rows int := 0;
begin
  v_batch := commandbus.lock_pending_batch(p_domain, p_batch_id, p_wait);

  if v_batch.batch_id is null then
    return false;
  end if;

  -- A large batch gets counter rows, but only if all its commands exist: otherwise the number of
  -- commands that each row has to count is unknown.
  if v_batch.total_count > 1000 then
    with part as (
      select commandbus.counter_no(command.command_id) as counter_no,
             count(*) as commands,
             count(*) filter (
               where command.counted_as is null
                  or (command.counted_as = 'AS_STATUS'
                      and command.status in ('PENDING', 'IN_PROGRESS'))
             ) as uncounted
        from commandbus.command
       where command.domain = p_domain
         and command.batch_id = p_batch_id
       group by 1
    )
    insert into commandbus.batch_counter (domain, batch_id, counter_no, quota)
    select p_domain, p_batch_id, numbers.counter_no, coalesce(part.uncounted, 0)
      from generate_series(0, 15) as numbers (counter_no)
      left join part on part.counter_no = numbers.counter_no
     where (select sum(part.commands) = v_batch.total_count
                   and sum(part.uncounted) = v_batch.total_count - v_batch.completed_count
                       - v_batch.canceled_count - v_batch.failed_count
                       - v_batch.in_troubleshooting_count
              from part);

    get diagnostics v_counter_rows = row_count;
  end if;

  update commandbus.batch
     set status = 'IN_PROGRESS',
         started_at = now(),
         counter_rows = v_counter_rows
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_batch_id, 'BATCH_STARTED', jsonb_build_object('batch_id', p_batch_id));

  return true;
end;
$function$;
comment on function commandbus.start_batch(text, uuid, boolean) is 'Takes a batch of commands from PENDING to IN_PROGRESS; true for the call that did it. Without p_wait, it skips a batch that another session has locked.';
revoke all on function commandbus.start_batch(text, uuid, boolean) from public;
