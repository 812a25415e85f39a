-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.count_in_rows(p_batch commandbus.batch, p_command_id uuid, p_from text, p_to text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_counter_no smallint := commandbus.counter_no(p_command_id);
  v_unreported int;
  v_due boolean;
begin
  -- The batch's own row counts a command in troubleshooting, until an operator retries it.
  if p_from = 'IN_TROUBLESHOOTING_QUEUE' then
    if p_to is null then
      update commandbus.batch_counter
         set quota = batch_counter.quota + 1
       where batch_counter.domain = p_batch.domain
         and batch_counter.batch_id = p_batch.batch_id
         and batch_counter.counter_no = v_counter_no;
    end if;

    return case when p_to = 'COMPLETED' then 1 else 0 end;
  end if;

  if p_to = 'COMPLETED' then
    begin
      update commandbus.batch_counter
         set completed = batch_counter.completed + 1,
             unreported = batch_counter.unreported + 1
       where batch_counter.domain = p_batch.domain
         and batch_counter.batch_id = p_batch.batch_id
         and batch_counter.counter_no = v_counter_no
         and batch_counter.completed < batch_counter.quota
      returning batch_counter.unreported,
                batch_counter.completed = batch_counter.quota
                  or batch_counter.unreported >= p_batch.total_count / 320
           into v_unreported, v_due;

      -- As in release_place: a lock on a full row must not stay.
      if not found then
        raise exception 'the counter row is full' using errcode = 'KBUND';
      end if;

      -- 16 rows that each hold back less than 1/320 keep the batch's row within 5 %.
      if not v_due then
        return 0;
      end if;

      update commandbus.batch_counter
         set unreported = 0
       where batch_counter.domain = p_batch.domain
         and batch_counter.batch_id = p_batch.batch_id
         and batch_counter.counter_no = v_counter_no;

      return v_unreported;
    exception when sqlstate 'KBUND' then
      null;
    end;
  end if;

  -- The batch's own row counts this command, and a counter row one command less.
  v_unreported := commandbus.release_place(p_batch.domain, p_batch.batch_id, v_counter_no);

  return v_unreported + case when p_to = 'COMPLETED' then 1 else 0 end;
end;
$function$;
comment on function commandbus.count_in_rows(commandbus.batch, uuid, text, text) is 'Counts a command in a large batch''s counter rows. Returns by how much the batch''s completed_count grows, or null if the batch has counted total_count commands already.';
revoke all on function commandbus.count_in_rows(commandbus.batch, uuid, text, text) from public;
