-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_start_batch(p_domain text, p_batch_id uuid)
 RETURNS boolean
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select commandbus.start_batch(p_domain, p_batch_id, p_wait => true);
$function$;
comment on function commandbus.sp_start_batch(text, uuid) is 'Starts a batch of commands. True for the one call that took it from PENDING to IN_PROGRESS.';
revoke all on function commandbus.sp_start_batch(text, uuid) from public;
