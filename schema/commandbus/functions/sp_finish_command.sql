-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.sp_finish_command(p_domain text, p_command_id uuid, p_status text, p_event_type text, p_error_type text DEFAULT NULL::text, p_error_code text DEFAULT NULL::text, p_error_msg text DEFAULT NULL::text, p_details jsonb DEFAULT NULL::jsonb, p_batch_id uuid DEFAULT NULL::uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_old record;
  v_from text;
  v_to text;
  v_is_complete boolean;
begin
  if p_domain is null or p_command_id is null or p_event_type is null then
    raise exception 'domain, command_id and event_type must not be null'
      using errcode = 'null_value_not_allowed';
  end if;

  if p_status is null
     or p_status not in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                         'IN_TROUBLESHOOTING_QUEUE') then
    raise exception 'a command cannot have the status "%"', p_status
      using errcode = 'invalid_parameter_value',
            hint = 'PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELED or IN_TROUBLESHOOTING_QUEUE.';
  end if;

  loop
    -- A batch of processes counts no commands.
    select command.status, command.counted_as, command.finished_as, batch
      into v_old
      from commandbus.command
      left join commandbus.batch
        on batch.domain = command.domain
       and batch.batch_id = command.batch_id
       and batch.batch_type = 'COMMAND'
     where command.domain = p_domain
       and command.command_id = p_command_id;

    exit when not found;

    if (v_old.batch).status = 'PENDING' then
      perform commandbus.start_batch_of_command(p_domain, p_command_id, (v_old.batch).batch_id);
      continue;
    end if;

    -- PENDING and IN_PROGRESS may come from a receive or from a client. Then this finish is the first
    -- with that status, and still has an error to store.
    if v_old.status in ('COMPLETED', 'CANCELED', 'FAILED')
       or v_old.status = 'IN_TROUBLESHOOTING_QUEUE'
          and p_status not in ('COMPLETED', 'CANCELED', 'FAILED')
       or v_old.status = p_status and v_old.finished_as = p_status
    then
      -- This finish is only audited, provided that the locked row is still what was read.
      perform
         from commandbus.command
        where command.domain = p_domain
          and command.command_id = p_command_id
          and command.status = v_old.status
          and command.finished_as is not distinct from v_old.finished_as
          for no key update;

      exit when found;
      continue;
    end if;

    v_from := case when v_old.counted_as <> 'AS_STATUS' then v_old.counted_as
                   when v_old.status = 'IN_TROUBLESHOOTING_QUEUE'
                        and v_old.counted_as = 'AS_STATUS' then v_old.status end;
    v_to := case when p_status in ('COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE')
                 then p_status end;

    -- Likewise: if another session changed the row first, read it again.
    with finished as (
      update commandbus.command
         set status = p_status,
             last_error_type = coalesce(p_error_type, command.last_error_type),
             last_error_code = coalesce(p_error_code, command.last_error_code),
             last_error_msg = coalesce(p_error_msg, command.last_error_msg),
             updated_at = now(),
             counted_as = case when (v_old.batch).batch_id is null then command.counted_as
                               else v_to end,
             finished_as = case when v_to is null then p_status end
       where command.domain = p_domain
         and command.command_id = p_command_id
         and command.status = v_old.status
         and command.counted_as is not distinct from v_old.counted_as
         and command.finished_as is not distinct from v_old.finished_as
      returning command.domain, command.command_id
    )
    insert into commandbus.audit (domain, command_id, event_type, details_json)
    select finished.domain, finished.command_id, p_event_type, p_details
      from finished;

    continue when not found;

    if (v_old.batch).batch_id is null or v_from is not distinct from v_to then
      return false;
    end if;

    v_is_complete := commandbus.count_move(v_old.batch, p_command_id, v_from, v_to);

    -- The batch has counted total_count commands already; this one stays uncounted.
    if v_is_complete is null then
      update commandbus.command
         set counted_as = v_from
       where command.domain = p_domain
         and command.command_id = p_command_id;
    end if;

    return coalesce(v_is_complete, false);
  end loop;

  insert into commandbus.audit (domain, command_id, event_type, details_json)
  values (p_domain, p_command_id, p_event_type, p_details);

  return false;
end;
$function$;
comment on function commandbus.sp_finish_command(text, uuid, text, text, text, text, text, jsonb, uuid) is 'Finishes a command and counts it for its batch. True for the call that completed the batch; its caller runs the batch''s callback. Raises null_value_not_allowed, invalid_parameter_value.';
revoke all on function commandbus.sp_finish_command(text, uuid, text, text, text, text, text, jsonb, uuid) from public;
