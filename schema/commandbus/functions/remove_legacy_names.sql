-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.remove_legacy_names()
 RETURNS SETOF text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_mark constant text := 'Legacy name, made by commandbus.install_legacy_names().';
  v_object record;
begin
  -- If another object depends on a legacy name, drop fails and names that object.
  for v_object in
    select 'view' as kind, format('public.%I', relname) as object, relname as name
      from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'v'
       and obj_description(oid, 'pg_class') = v_mark
     union all
    select 'function',
           format('public.%I(%s)', proname, pg_get_function_identity_arguments(oid)), proname
      from pg_proc
     where pronamespace = 'public'::regnamespace
       and obj_description(oid, 'pg_proc') = v_mark
  loop
    execute format('drop %s %s', v_object.kind, v_object.object);
    return next format('public.%s', v_object.name);
  end loop;
end;
$function$;
comment on function commandbus.remove_legacy_names() is 'Drops what install_legacy_names() created, and nothing else. Returns the names. Raises dependent_objects_still_exist.';
revoke all on function commandbus.remove_legacy_names() from public;
