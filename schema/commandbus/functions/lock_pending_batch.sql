-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.lock_pending_batch(p_domain text, p_batch_id uuid, p_wait boolean)
 RETURNS commandbus.batch
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_batch commandbus.batch;
begin
  if p_wait then
    select batch.*
      into v_batch
      from commandbus.batch
     where batch.domain = p_domain
       and batch.batch_id = p_batch_id
       and batch.batch_type = 'COMMAND'
       and batch.status = 'PENDING'
       for no key update;
  else
    select batch.*
      into v_batch
      from commandbus.batch
     where batch.domain = p_domain
       and batch.batch_id = p_batch_id
       and batch.batch_type = 'COMMAND'
       and batch.status = 'PENDING'
       for no key update skip locked;
  end if;

  -- If another session started the batch while this one waited, PostgreSQL has locked the row all the
  -- same. Counter rows come before the batch in the lock order, so the lock must not stay.
  if not found then
    raise exception 'the batch is not pending' using errcode = 'KBUND';
  end if;

  return v_batch;
exception when sqlstate 'KBUND' then
  return null;
end;
$function$;
comment on function commandbus.lock_pending_batch(text, uuid, boolean) is 'Locks a batch of commands that has not started, and returns it; otherwise returns null and leaves no lock. Without p_wait, it skips a batch that another session has locked.';
revoke all on function commandbus.lock_pending_batch(text, uuid, boolean) from public;
