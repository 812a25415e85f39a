-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.settle_batch(p_domain text, p_batch_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_command record;
  v_batch commandbus.batch;
  v_is_complete boolean;
  v_completed_now boolean := false;
begin
  -- The caller already holds commands, in no order, and a transaction may receive any number of them.
  -- Waiting for another session's command could deadlock; that session settles it.
  for v_command in
    with differing as materialized (
      select command.command_id,
             command.counted_as as counted_from,
             case when command.status in ('COMPLETED', 'CANCELED', 'FAILED',
                                          'IN_TROUBLESHOOTING_QUEUE')
                  then command.status end as counted_to
        from commandbus.command
       where command.domain = p_domain
         and command.batch_id = p_batch_id
         and (command.counted_as is null
                and command.status in ('COMPLETED', 'CANCELED', 'FAILED',
                                       'IN_TROUBLESHOOTING_QUEUE')
              or command.counted_as = 'IN_TROUBLESHOOTING_QUEUE'
                and command.status <> 'IN_TROUBLESHOOTING_QUEUE')
         for no key update skip locked
    )
    select differing.*, count(*) over () as number_of_commands
      from differing
     order by differing.command_id
  loop
    if v_batch.batch_id is null then
      perform commandbus.start_batch(p_domain, p_batch_id, p_wait => true)
         from commandbus.batch
        where batch.domain = p_domain
          and batch.batch_id = p_batch_id
          and batch.status = 'PENDING';

      select batch.*
        into v_batch
        from commandbus.batch
       where batch.domain = p_domain
         and batch.batch_id = p_batch_id
         and batch.batch_type = 'COMMAND';

      exit when not found;

      -- Counting several commands alternates between counter rows and the batch, so lock all counter
      -- rows first.
      if v_batch.counter_rows > 0 and v_command.number_of_commands > 1 then
        perform
           from commandbus.batch_counter
          where batch_counter.domain = p_domain
            and batch_counter.batch_id = p_batch_id
          order by batch_counter.counter_no
            for no key update;
      end if;
    end if;

    v_is_complete := commandbus.count_move(v_batch, v_command.command_id, v_command.counted_from,
                                           v_command.counted_to);

    -- The batch has counted total_count commands already; this one stays uncounted.
    continue when v_is_complete is null;

    update commandbus.command
       set counted_as = v_command.counted_to
     where command.domain = p_domain
       and command.command_id = v_command.command_id;

    v_completed_now := v_completed_now or v_is_complete;
  end loop;

  return v_completed_now;
end;
$function$;
comment on function commandbus.settle_batch(text, uuid) is 'Counts every command of the batch whose status differs from what the batch''s counters hold for it. True if this completed the batch.';
revoke all on function commandbus.settle_batch(text, uuid) from public;
