-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.wait_for_batch(p_domain text, p_batch_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform
     from commandbus.batch
    where batch.domain = p_domain
      and batch.batch_id = p_batch_id
      for no key update;

  -- Within a transaction, only rolling a block back releases a lock.
  raise exception 'the batch is free' using errcode = 'KBUND';
exception when sqlstate 'KBUND' then
  return;
end;
$function$;
comment on function commandbus.wait_for_batch(text, uuid) is 'Waits until no other session has locked the batch, and leaves no lock.';
revoke all on function commandbus.wait_for_batch(text, uuid) from public;
