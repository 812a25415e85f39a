-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.grant_client(p_role text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_function regprocedure;
  v_right record;
  v_remedies text[] := '{}';
begin
  if not exists (select from pg_roles where rolname = p_role) then
    raise exception 'role "%" does not exist', p_role
      using errcode = 'undefined_object',
            hint = 'Create it first; then call commandbus.grant_client() again.';
  end if;

  execute format('grant usage on schema commandbus to %I', p_role);
  execute format('grant select, insert, update, delete
                     on commandbus.batch, commandbus.batch_counter, commandbus.command,
                        commandbus.audit, commandbus.payload_archive, commandbus.process,
                        commandbus.process_audit
                     to %I', p_role);
  execute format('grant select on commandbus.batch_progress to %I', p_role);
  execute format('grant usage, select
                     on sequence commandbus.audit_audit_id_seq, commandbus.process_audit_id_seq
                     to %I', p_role);

  for v_function in
    select pg_proc.oid
      from pg_proc
     where pg_proc.pronamespace = to_regnamespace('commandbus')
       -- These are for administrators.
       and pg_proc.proname <> all (array['grant_client', 'install_legacy_names',
                                         'remove_legacy_names', 'grant_legacy_names'])
  loop
    execute format('grant execute on function %s to %I', v_function, p_role);
  end loop;

  -- PGMQ's functions run with the caller's rights, so a client needs rights on the queues too; and on
  -- the tables of e2e, if it exists. PGMQ may belong to another role: leave existing grants alone, and
  -- report what the caller may not grant.
  for v_right in
    with space as (
      select pg_namespace.oid, quote_ident(pg_namespace.nspname) as name
        from pg_namespace
       where pg_namespace.nspname in ('pgmq', 'e2e')
    ),
    wanted (object, privilege, is_held, is_grantable, remedy) as (
      select 'schema ' || space.name, 'usage',
             has_schema_privilege(p_role, space.oid, 'usage'),
             has_schema_privilege(space.oid, 'usage with grant option'),
             'usage on schema ' || space.name
        from space
       union all
      select 'table ' || pg_class.oid::regclass, needed.privilege,
             has_table_privilege(p_role, pg_class.oid, needed.privilege),
             has_table_privilege(pg_class.oid, needed.privilege || ' with grant option'),
             'select, insert, update, delete on all tables in schema ' || space.name
        from space
        join pg_class on pg_class.relnamespace = space.oid and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        cross join unnest(array['select', 'insert', 'update', 'delete']) as needed (privilege)
       union all
      select 'sequence ' || pg_class.oid::regclass, needed.privilege,
             has_sequence_privilege(p_role, pg_class.oid, needed.privilege),
             has_sequence_privilege(pg_class.oid, needed.privilege || ' with grant option'),
             'usage, select on all sequences in schema ' || space.name
        from space
        join pg_class on pg_class.relnamespace = space.oid and pg_class.relkind = 'S'
        cross join unnest(array['usage', 'select']) as needed (privilege)
       union all
      select 'routine ' || pg_proc.oid::regprocedure, 'execute',
             has_function_privilege(p_role, pg_proc.oid, 'execute'),
             has_function_privilege(pg_proc.oid, 'execute with grant option'),
             'execute on all routines in schema ' || space.name
        from space
        join pg_proc on pg_proc.pronamespace = space.oid
    )
    select *
      from wanted
     where not wanted.is_held
  loop
    if v_right.is_grantable then
      execute format('grant %s on %s to %I', v_right.privilege, v_right.object, p_role);
    elsif v_right.remedy <> all (v_remedies) then
      v_remedies := v_remedies || v_right.remedy;
    end if;
  end loop;

  if v_remedies <> '{}' then
    raise warning 'role "%" lacks rights that "%" cannot grant; an administrator has to run: %',
      p_role, current_user,
      (select string_agg(format('grant %s to %I;', remedy, p_role), ' ') from unnest(v_remedies) as remedy);
  end if;
end;
$function$;
comment on function commandbus.grant_client(text) is 'Grants a role what a client of the bus needs. Call it again after creating a queue. Raises undefined_object.';
revoke all on function commandbus.grant_client(text) from public;
