-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.start_batch_of_command(p_domain text, p_command_id uuid, p_batch_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  begin
    -- The lock order: command first, then batch.
    perform
       from commandbus.command
      where command.domain = p_domain
        and command.command_id = p_command_id
        for no key update;

    if commandbus.start_batch(p_domain, p_batch_id, p_wait => false)
       or not exists (
         select from commandbus.batch
          where batch.domain = p_domain
            and batch.batch_id = p_batch_id
            and batch.status = 'PENDING')
    then
      return;
    end if;

    -- Another session is starting the batch, and may receive this command next: release it.
    raise exception 'another session has locked the batch' using errcode = 'KBUND';
  exception when sqlstate 'KBUND' then
    null;
  end;

  -- No lock may be left from this either. Waiting for a command while holding its batch would invert
  -- the lock order.
  perform commandbus.wait_for_batch(p_domain, p_batch_id);
end;
$function$;
comment on function commandbus.start_batch_of_command(text, uuid, uuid) is 'Starts the batch of a command. If another session has locked the batch, waits without holding any lock; the caller then checks again.';
revoke all on function commandbus.start_batch_of_command(text, uuid, uuid) from public;
