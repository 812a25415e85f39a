-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.release_place(p_domain text, p_batch_id uuid, p_counter_no smallint)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_counter_no smallint;
  v_unreported int;
begin
  loop
    -- The command's own counter row first. It is full if there are more commands than announced; then
    -- any other row will do.
    select batch_counter.counter_no
      into v_counter_no
      from commandbus.batch_counter
     where batch_counter.domain = p_domain
       and batch_counter.batch_id = p_batch_id
       and batch_counter.completed < batch_counter.quota
     order by batch_counter.counter_no <> p_counter_no, batch_counter.counter_no
     limit 1;

    if not found then
      return null;
    end if;

    -- Another session may have taken the last place meanwhile. The wait for it has locked the row all
    -- the same; that lock must not stay while this session waits for another row.
    begin
      update commandbus.batch_counter
         set quota = batch_counter.quota - 1
       where batch_counter.domain = p_domain
         and batch_counter.batch_id = p_batch_id
         and batch_counter.counter_no = v_counter_no
         and batch_counter.completed < batch_counter.quota
      returning batch_counter.unreported into v_unreported;

      if not found then
        raise exception 'the counter row is full' using errcode = 'KBUND';
      end if;

      exit;
    exception when sqlstate 'KBUND' then
      null;
    end;
  end loop;

  -- Without this place the row may have counted all of its commands, so it reports now.
  update commandbus.batch_counter
     set unreported = 0
   where batch_counter.domain = p_domain
     and batch_counter.batch_id = p_batch_id
     and batch_counter.counter_no = v_counter_no;

  return v_unreported;
end;
$function$;
comment on function commandbus.release_place(text, uuid, smallint) is 'Takes the place of one command out of a large batch''s counter rows, so that the batch''s own row can count it. Returns what the counter row reports, or null if no place is left.';
revoke all on function commandbus.release_place(text, uuid, smallint) from public;
