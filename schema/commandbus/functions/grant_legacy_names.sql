-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.grant_legacy_names()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_statement text;
begin
  for v_statement in
    with pair (kind, legacy, behind) as (
      select 'table', to_regclass('public.' || legacy)::oid, to_regclass(behind)::oid
        from (values
          ('command_bus_batch', 'commandbus.batch'),
          ('command_bus_command', 'commandbus.command'),
          ('command_bus_audit', 'commandbus.audit'),
          ('command_bus_payload_archive', 'commandbus.payload_archive'),
          ('e2e_config', 'e2e.config'),
          ('test_command', 'e2e.test_command')
        ) as names (legacy, behind)
       union all
      select 'function', legacy.oid, behind.oid
        from pg_proc as legacy
        join pg_proc as behind using (proname, proargtypes)
       where legacy.pronamespace = 'public'::regnamespace
         and behind.pronamespace = 'commandbus'::regnamespace
    ),
    acl (object, kind, columns, owner, entries) as (
      select oid, 'table', '', relowner, coalesce(relacl, acldefault('r', relowner))
        from pg_class
       union all
      select attrelid, 'table', format(' (%I)', attname), relowner, attacl
        from pg_attribute join pg_class on pg_class.oid = attrelid
       union all
      select oid, 'function', '', proowner, coalesce(proacl, acldefault('f', proowner))
        from pg_proc
    ),
    entry as (
      select pair.*, acl.object, acl.columns, granted.privilege_type, granted.is_grantable,
             case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end as grantee,
             case pair.kind when 'table' then pair.legacy::regclass::text
                            else pair.legacy::regprocedure::text end as legacy_name
        from pair
        join acl on acl.kind = pair.kind and acl.object in (pair.legacy, pair.behind)
        cross join aclexplode(acl.entries) as granted
       where granted.grantee <> acl.owner
         -- The view has only the old columns.
         and (acl.columns = '' or exists (
           select from pg_attribute
            where attrelid = pair.legacy and format(' (%I)', attname) = acl.columns))
    )
    -- Earlier grants are revoked first, so that a right revoked from the table is revoked here too.
    select case
             when object = legacy then format('revoke all%s on %s %s from %s',
               columns, kind, legacy_name, grantee)
             else format('grant %s%s on %s %s to %s%s', privilege_type, columns, kind, legacy_name,
               grantee, case when is_grantable then ' with grant option' else '' end)
           end
      from entry
     order by object = legacy desc
  loop
    execute v_statement;
  end loop;
end;
$function$;
comment on function commandbus.grant_legacy_names() is 'Copies to each legacy name the current grants of the table or function behind it. Called by install_legacy_names().';
revoke all on function commandbus.grant_legacy_names() from public;
