-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.install_legacy_names()
 RETURNS SETOF text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_views text[] := array['command_bus_batch', 'command_bus_command', 'command_bus_audit',
    'command_bus_payload_archive', 'e2e_config', 'test_command'];
  v_functions constant text[] := array['sp_receive_command', 'sp_finish_command', 'sp_fail_command',
    'sp_update_batch_counters', 'sp_start_batch', 'sp_tsq_complete', 'sp_tsq_cancel', 'sp_tsq_retry'];
  -- Distinguishes our objects from others with the same name.
  v_mark constant text := 'Legacy name, made by commandbus.install_legacy_names().';
  v_has_e2e constant boolean := to_regclass('e2e.config') is not null;
  v_in_the_way text;
  v_object     record;
begin
  if not v_has_e2e then
    v_views := array_remove(array_remove(v_views, 'e2e_config'), 'test_command');
  end if;

  select string_agg(object, ', ' order by object)
    into v_in_the_way
    from (
      select oid::regclass::text as object
        from pg_class
       where relnamespace = 'public'::regnamespace
         and relname = any (v_views)
         and obj_description(oid, 'pg_class') is distinct from v_mark
       union all
      select oid::regprocedure::text
        from pg_proc
       where pronamespace = 'public'::regnamespace
         and proname = any (v_functions)
         and obj_description(oid, 'pg_proc') is distinct from v_mark
    ) as others;

  if v_in_the_way is not null then
    raise exception 'cannot install the legacy names: other objects have these names'
      using errcode = 'duplicate_object',
            detail = format('Found: %s.', v_in_the_way),
            hint = 'Rename them or move them to another schema, then install again.';
  end if;

  create or replace view public.command_bus_batch with (security_invoker = true) as
    select domain, batch_id, name, custom_data, status, total_count, completed_count,
           canceled_count, in_troubleshooting_count, created_at, started_at, completed_at
      from commandbus.batch;

  create or replace view public.command_bus_command with (security_invoker = true) as
    select domain, queue_name, msg_id, command_id, command_type, status, attempts, max_attempts,
           lease_expires_at, last_error_type, last_error_code, last_error_msg, created_at,
           updated_at, reply_queue, correlation_id, batch_id
      from commandbus.command;

  create or replace view public.command_bus_audit with (security_invoker = true) as
    select audit_id, domain, command_id, event_type, ts, details_json
      from commandbus.audit;

  create or replace view public.command_bus_payload_archive with (security_invoker = true) as
    select domain, command_id, payload_json, archived_at
      from commandbus.payload_archive;

  if v_has_e2e then
    create or replace view public.e2e_config with (security_invoker = true) as
      select key, value, updated_at
        from e2e.config;

    create or replace view public.test_command with (security_invoker = true) as
      select id, command_id, payload, behavior, created_at, processed_at, attempts, result
        from e2e.test_command;

    -- The table has no default, but one of the two old shapes of test_command has this one.
    alter view public.test_command alter column behavior set default '{"type": "success"}';
  end if;

  for v_object in
    select proname as name,
           pg_get_function_arguments(oid) as arguments,
           pg_get_function_identity_arguments(oid) as identity,
           pg_get_function_result(oid) as result,
           (select string_agg('$' || n, ', ' order by n) from generate_series(1, pronargs) as n) as passed
      from pg_proc
     where pronamespace = 'commandbus'::regnamespace
       and proname = any (v_functions)
  loop
    execute format(
      'create or replace function public.%I(%s) returns %s language sql volatile security invoker '
      'set search_path = pg_catalog, pg_temp as %L',
      v_object.name, v_object.arguments, v_object.result,
      format('select * from commandbus.%I(%s)', v_object.name, v_object.passed));
    execute format('comment on function public.%I(%s) is %L',
      v_object.name, v_object.identity, v_mark);
    return next format('public.%s', v_object.name);
  end loop;

  for v_object in select unnest(v_views) as name loop
    execute format('comment on view public.%I is %L', v_object.name, v_mark);
    return next format('public.%s', v_object.name);
  end loop;

  perform commandbus.grant_legacy_names();
end;
$function$;
comment on function commandbus.install_legacy_names() is 'Creates the old names in public, as views and functions over the new objects and with the same grants. Returns the names. Can be called again. Raises duplicate_object.';
revoke all on function commandbus.install_legacy_names() from public;
