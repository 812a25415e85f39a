-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.flush_counter_rows(p_domain text, p_batch_id uuid)
 RETURNS commandbus.batch
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_unreported int;
  v_batch commandbus.batch;
begin
  -- The lock order: all counter rows by number, then the batch.
  select sum(counter.unreported)
    into v_unreported
    from (
      select batch_counter.unreported
        from commandbus.batch_counter
       where batch_counter.domain = p_domain
         and batch_counter.batch_id = p_batch_id
       order by batch_counter.counter_no
         for no key update
    ) as counter;

  -- This cannot complete the batch: a counter row that has counted all of its commands has reported
  -- already.
  if v_unreported > 0 then
    update commandbus.batch_counter
       set unreported = 0
     where batch_counter.domain = p_domain
       and batch_counter.batch_id = p_batch_id
       and batch_counter.unreported > 0;

    update commandbus.batch
       set completed_count = batch.completed_count + v_unreported
     where batch.domain = p_domain
       and batch.batch_id = p_batch_id;
  end if;

  select batch.*
    into v_batch
    from commandbus.batch
   where batch.domain = p_domain
     and batch.batch_id = p_batch_id;

  return v_batch;
end;
$function$;
comment on function commandbus.flush_counter_rows(text, uuid) is 'Adds what the counter rows of a large batch have not reported to the batch''s own row, and returns that row.';
revoke all on function commandbus.flush_counter_rows(text, uuid) from public;
