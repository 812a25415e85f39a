-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.count_processes(p_domain text, p_batch_id uuid)
 RETURNS commandbus.batch
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_batch commandbus.batch;
  v_found record;
  v_completed int;
  v_canceled int;
  v_in_troubleshooting int;
  v_status text;
  v_started_at timestamptz;
  v_completed_at timestamptz;
begin
  -- Locked before counting, so that a concurrent refresh cannot overwrite a newer count.
  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     for no key update;

  -- The index on batch_id finds the processes. Materialized, so that the planner does not combine it
  -- with an index that begins with the domain and reads the entries of other batches.
  with member as materialized (
    select process.domain, process.process_id, process.status
      from commandbus.process
     where process.batch_id = p_batch_id
  )
  select count(*) as processes,
         count(*) filter (where member.status in ('COMPLETED', 'COMPENSATED')) as completed,
         count(*) filter (where member.status in ('FAILED', 'CANCELED')) as canceled,
         count(troubled.correlation_id) as in_troubleshooting,
         coalesce(bool_or(member.status <> 'PENDING'), false) as any_started
    into v_found
    from member
    -- One index lookup for each unfinished process. The limit keeps the planner from choosing a join
    -- that reads all commands in troubleshooting.
    left join lateral (
      select command.correlation_id
        from commandbus.command
       where command.correlation_id = member.process_id
         and command.status = 'IN_TROUBLESHOOTING_QUEUE'
         and member.status not in ('COMPLETED', 'COMPENSATED', 'FAILED', 'CANCELED')
       limit 1
    ) as troubled on true
   where member.domain = p_domain;

  -- A complete batch whose processes have been deleted keeps its counts.
  if v_batch.status in ('COMPLETED', 'COMPLETED_WITH_FAILURES')
     and v_found.processes < v_batch.total_count then
    return v_batch;
  end if;

  v_completed := least(v_found.completed, v_batch.total_count);
  v_canceled := least(v_found.canceled, v_batch.total_count - v_completed);
  v_in_troubleshooting := least(v_found.in_troubleshooting,
                                v_batch.total_count - v_completed - v_canceled);
  v_status := case
    when v_batch.total_count > 0 and v_completed + v_canceled = v_batch.total_count
      then case when v_canceled > 0 then 'COMPLETED_WITH_FAILURES' else 'COMPLETED' end
    when v_batch.status <> 'PENDING' or v_found.any_started then 'IN_PROGRESS'
    else 'PENDING'
  end;

  v_started_at := case when v_status = 'PENDING' then v_batch.started_at
                       else coalesce(v_batch.started_at, now()) end;
  v_completed_at := case when v_status in ('COMPLETED', 'COMPLETED_WITH_FAILURES')
                         then coalesce(v_batch.completed_at, now()) end;

  update commandbus.batch
     set status = v_status,
         completed_count = v_completed,
         canceled_count = v_canceled,
         failed_count = 0,
         in_troubleshooting_count = v_in_troubleshooting,
         started_at = v_started_at,
         completed_at = v_completed_at
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id
     and (batch.status, batch.completed_count, batch.canceled_count, batch.failed_count,
          batch.in_troubleshooting_count, batch.started_at, batch.completed_at)
         is distinct from
         (v_status, v_completed, v_canceled, 0, v_in_troubleshooting, v_started_at, v_completed_at);

  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  return v_batch;
end;
$function$;
comment on function commandbus.count_processes(text, uuid) is 'Counts the processes of a PROCESS batch, writes counts and status to the batch''s row, and returns that row.';
revoke all on function commandbus.count_processes(text, uuid) from public;
