-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.tg_command__mark_adopted()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Adoption writes no rows, so it marks commands AS_STATUS. Of the statuses that can change, only
  -- this one is counted.
  NEW.counted_as := case when OLD.status = 'IN_TROUBLESHOOTING_QUEUE' then OLD.status end;
  return NEW;
end;
$function$;
comment on function commandbus.tg_command__mark_adopted() is 'Replaces the mark AS_STATUS of an adopted command before its status changes.';
revoke all on function commandbus.tg_command__mark_adopted() from public;
