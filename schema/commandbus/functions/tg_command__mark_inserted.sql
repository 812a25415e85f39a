-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.tg_command__mark_inserted()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_held int;
  v_marked int;
begin
  -- Two inserts must not claim the same count. Once a transaction, write the batch's row: under
  -- read committed the other insert waits and then sees this mark, under repeatable read it fails. A
  -- lock alone would let it go on with a snapshot that lacks the mark.
  update commandbus.batch
     set total_count = batch.total_count
   where batch.domain = NEW.domain
     and batch.batch_id = NEW.batch_id
     and batch.batch_type = 'COMMAND'
     and batch.completed_count + batch.canceled_count + batch.failed_count
         + batch.in_troubleshooting_count > 0
     and batch.xmin <> pg_current_xact_id()::xid;

  select case NEW.status
           when 'COMPLETED' then batch.completed_count
           when 'CANCELED' then batch.canceled_count
           when 'FAILED' then batch.failed_count
           else batch.in_troubleshooting_count
         end
    into v_held
    from commandbus.batch
   where batch.domain = NEW.domain
     and batch.batch_id = NEW.batch_id
     and batch.batch_type = 'COMMAND';

  if v_held is null or v_held = 0 then
    return NEW;
  end if;

  select count(*)
    into v_marked
    from commandbus.command
   where command.domain = NEW.domain
     and command.batch_id = NEW.batch_id
     and (command.counted_as = NEW.status
          or command.counted_as = 'AS_STATUS' and command.status = NEW.status);

  if v_marked < v_held then
    NEW.counted_as := NEW.status;
  end if;

  return NEW;
end;
$function$;
comment on function commandbus.tg_command__mark_inserted() is 'For copies of a batch and its commands: marks a command that is inserted in a final status or in troubleshooting as counted, if the batch''s counters include it already.';
revoke all on function commandbus.tg_command__mark_inserted() from public;
