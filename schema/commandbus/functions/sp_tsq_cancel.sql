-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_tsq_cancel(p_domain text, p_batch_id uuid)
 RETURNS boolean
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  -- The caller does not name the command, so this counts every command that is not counted yet.
  select commandbus.settle_batch(p_domain, p_batch_id);
$function$;
comment on function commandbus.sp_tsq_cancel(text, uuid) is 'Counts a command that an operator has canceled: its row is CANCELED already, set in the same transaction. True if this completed the batch.';
revoke all on function commandbus.sp_tsq_cancel(text, uuid) from public;
