-- Tells whether PostgreSQL has planned a statement again, and so whether a relation that the statement
-- names may have been altered. A statement gets the same id from this function as long as its plan is
-- kept, and a new one as soon as it is planned again.
--
-- The function is not immutable. It is declared immutable for the effect that this has on a cached
-- plan, by three facts that PostgreSQL's manual states:
-- 1. PL/pgSQL caches the plan of every statement for the session, and a statement without parameters
--    has one plan for all its executions (PL/pgSQL Under the Hood, Plan Caching).
-- 2. The planner calls an immutable function once and puts its result into the plan, so that a cached
--    plan returns a stale value (Function Volatility Categories).
-- 3. A cached plan is made again before its next use when the definition of an object in it has
--    changed, or when statistics were updated (PREPARE, Notes).
-- A plan that is made again without need, as after ANALYZE, costs one fingerprint of the parts.
create or replace function pg_temp.new_plan_id()
returns uuid
language plpgsql
immutable
as $$
begin
  return gen_random_uuid();
end;
$$;

-- The functions below are stable: each sees the database as the statement that calls it does.

-- Changes with every object that is created, renamed, altered or dropped. Columns, constraints,
-- triggers, rules and policies are not among them.
create or replace function pg_temp.objects_fingerprint()
returns numeric
language plpgsql
stable
as $$
begin
  return (
    select sum(fingerprint)
      from (
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_class
         where oid >= 16384 and relpersistence <> 't'
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_enum
         where oid >= 16384
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_type
         where oid >= 16384 and typtype in ('d', 'e', 'r')
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_constraint
         where contypid >= 16384
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_proc
         where oid >= 16384 and pronamespace <> all (
           array(select oid from pg_namespace where starts_with(nspname, 'pg_temp_')))
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_namespace
         where not starts_with(nspname, 'pg_')
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_extension
      ) as part (fingerprint)
  );
end;
$$;

-- Changes with every change of objects_fingerprint, and with temporary objects.
create or replace function pg_temp.objects_version()
returns numeric
language plpgsql
stable
as $$
begin
  return (
    select sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin)))
      from (
        select ctid, xmin
          from pg_class
         where oid >= 16384
        union all
        select ctid, xmin
          from pg_enum
         where oid >= 16384
        union all
        select ctid, xmin
          from pg_type
         where oid >= 16384
        union all
        select ctid, xmin
          from pg_constraint
         where contypid >= 16384
        union all
        select ctid, xmin
          from pg_proc
         where oid >= 16384
        union all
        select ctid, xmin
          from pg_namespace
         where not starts_with(nspname, 'pg_')
        union all
        select ctid, xmin
          from pg_extension
      ) as versions
  );
end;
$$;

-- Changes with the columns, constraints, triggers, rules and policies of relations.
create or replace function pg_temp.parts_fingerprint()
returns numeric
language plpgsql
stable
as $$
begin
  return (
    select sum(fingerprint)
      from (
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_attribute
         where attrelid >= 16384 and attnum > 0
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_constraint
         where conrelid >= 16384
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_index
         where indexrelid >= 16384
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_trigger
         where oid >= 16384
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_rewrite
         where oid >= 16384
        union all
        select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
          from pg_policy
      ) as part (fingerprint)
  );
end;
$$;

-- Another text when a transaction that wrote anything has ended. This one is not counted.
create or replace function pg_temp.running_transactions(p_snapshot pg_snapshot)
returns text
language plpgsql
stable
as $$
begin
  return (
    select concat(pg_snapshot_xmax(p_snapshot), ' ', array(select pg_snapshot_xip(p_snapshot)))
  );
end;
$$;

-- The objects whose definition is not that of the baseline; null if there are none.
create or replace function pg_temp.schema_differences()
returns jsonb
language plpgsql
stable
as $$
begin
  return (
    select jsonb_agg(difference)
      from (
        with stored as (
          select kind, name, definition from provisioning.baseline_object
        ),
        current as (
          (
            with relation as materialized (
              select pg_class.*, nspname, format('%I.%I', nspname, relname) as name
                from pg_class
                join pg_namespace on pg_namespace.oid = relnamespace
               where (not (nspname ~ '^pg_' or nspname = 'information_schema')
                      and nspname not in ('provisioning', 'graphile_migrate'))
                 and relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
                 and relpersistence <> 't'
                 and (nspname = 'pgmq' and relkind in ('r', 'p', 'S')
                      or not (exists (
                        select from pg_catalog.pg_depend
                         where classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                           and objid = pg_class.oid
                           and deptype = 'e')
                              -- Of a composite type, the type is the member and not the relation behind it.
                              or relkind = 'c'
                             and exists (
                               select from pg_catalog.pg_depend
                                where classid = 'pg_catalog.pg_type'::pg_catalog.regclass
                                  and objid = reltype
                                  and deptype = 'e'))
                      or pg_class.oid = any (array(select unnest(extconfig) from pg_catalog.pg_extension))
                         and has_table_privilege(pg_class.oid, 'select'))
                 and not (nspname = 'pgmq' and relispartition))
            select 'schema' as kind,
                   quote_ident(nspname) as name,
                   nspowner::regrole::text as definition
              from pg_namespace
             where (not (nspname ~ '^pg_' or nspname = 'information_schema')
                    and nspname not in ('provisioning', 'graphile_migrate'))
               and not exists (
                 select from pg_catalog.pg_depend
                  where classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                    and objid = pg_namespace.oid
                    and deptype = 'e')
            union all
            select 'extension', quote_ident(extname), ''
              from pg_extension
            union all
            select case relkind when 'S' then 'sequence' when 'v' then 'view' when 'c' then 'type'
                                when 'm' then 'materialized view' else 'table'
                   end,
                   name,
                   concat_ws(
                     ' ',
                     relkind, relowner::regrole, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
                     reloptions::text,
                     pg_get_expr(relpartbound, oid),
                     case when relkind = 'p' then pg_get_partkeydef(oid) end,
                     case when relkind in ('v', 'm') then pg_get_viewdef(oid) end,
                     (select array_agg(inhparent::regclass order by inhseqno)
                        from pg_inherits
                       where inhrelid = relation.oid)::text,
                     (select array_agg(attname order by attnum)
                        from pg_attribute
                       where attrelid = relation.oid and attnum > 0 and not attisdropped and relkind <> 'S')::text,
                     (select row(format_type(seqtypid, null), seqstart, seqincrement, seqmax, seqmin,
                                 seqcache, seqcycle)::text
                        from pg_sequence
                       where seqrelid = relation.oid),
                     (select string_agg(refobjid::regclass || '.' || refobjsubid, ' ')
                        from pg_depend
                       where classid = 'pg_class'::regclass and objid = relation.oid and relkind = 'S'
                         and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')))
              from relation
            union all
            select 'column',
                   name || '.' || quote_ident(attname),
                   concat_ws(
                     ' ',
                     format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
                     attcollation::regcollation,
                     pg_get_expr(adbin, adrelid))
              from relation
              join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped
              left join pg_attrdef on adrelid = attrelid and adnum = attnum
             where relkind <> 'S'
            union all
            select 'constraint',
                   name || '.' || quote_ident(conname),
                   concat_ws(
                     ' ',
                     pg_get_constraintdef(pg_constraint.oid),
                     convalidated,
                     -- A foreign key is kept by triggers of its own, which a superuser can switch off.
                     (select string_agg(tgenabled::text, '' order by tgrelid, tgtype)
                        from pg_trigger
                       where tgconstraint = pg_constraint.oid and tgparentid = 0))
              from relation
              join pg_constraint on conrelid = relation.oid
            union all
            select 'index',
                   indexrelid::regclass::text,
                   pg_get_indexdef(indexrelid) || ' ' || indisvalid
              from relation
              join pg_index on indrelid = relation.oid
            union all
            select 'trigger',
                   name || '.' || quote_ident(tgname),
                   pg_get_triggerdef(pg_trigger.oid) || ' ' || tgenabled::text
              from relation
              join pg_trigger on tgrelid = relation.oid and not tgisinternal
            union all
            select 'rule',
                   name || '.' || quote_ident(rulename),
                   pg_get_ruledef(pg_rewrite.oid) || ' ' || ev_enabled::text
              from relation
              join pg_rewrite on ev_class = relation.oid and rulename <> '_RETURN'
            union all
            select 'policy',
                   name || '.' || quote_ident(polname),
                   concat_ws(
                     ' ',
                     polcmd, polpermissive, polroles::regrole[]::text,
                     pg_get_expr(polqual, polrelid),
                     pg_get_expr(polwithcheck, polrelid))
              from relation
              join pg_policy on polrelid = relation.oid
            union all
            select case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
                   pg_proc.oid::regprocedure::text,
                   case when prokind = 'a'
                        then (select row(aggtransfn, aggfinalfn, aggcombinefn, agginitval)::text
                                from pg_aggregate
                               where aggfnoid = pg_proc.oid)
                        else pg_get_functiondef(pg_proc.oid)
                   end || ' ' || proowner::regrole
              from pg_proc
              join pg_namespace on pg_namespace.oid = pronamespace
             where (not (nspname ~ '^pg_' or nspname = 'information_schema')
                    and nspname not in ('provisioning', 'graphile_migrate'))
               and not exists (
                 select from pg_catalog.pg_depend
                  where classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                    and objid = pg_proc.oid
                    and deptype = 'e')
            union all
            select 'type',
                   pg_type.oid::regtype::text,
                   concat_ws(
                     ' ',
                     typtype, typowner::regrole, format_type(nullif(typbasetype, 0), typtypmod), typnotnull,
                     typdefault,
                     (select array_agg(enumlabel order by enumsortorder)
                        from pg_enum
                       where enumtypid = pg_type.oid)::text,
                     (select string_agg(pg_get_constraintdef(oid), ' ' order by conname)
                        from pg_constraint
                       where contypid = pg_type.oid),
                     (select rngsubtype::regtype::text
                        from pg_range
                       where rngtypid = pg_type.oid))
              from pg_type
              join pg_namespace on pg_namespace.oid = typnamespace
             where (not (nspname ~ '^pg_' or nspname = 'information_schema')
                    and nspname not in ('provisioning', 'graphile_migrate'))
               and typtype in ('d', 'e', 'r')
               and not exists (
                 select from pg_catalog.pg_depend
                  where classid = 'pg_catalog.pg_type'::pg_catalog.regclass
                    and objid = pg_type.oid
                    and deptype = 'e')
            union all
            select 'queue', queue_name, ''
              from pgmq.meta
          )
          union all
          select kind, name, definition
            from stored
           where kind = 'queue'
             and to_regclass(format('pgmq.%I', lower('q_' || name))) is not null
             and not exists (select from pgmq.meta where queue_name = name)
        )
        select case when stored.name is null then 'added'
                    when current.name is null then 'taken away'
                    else 'changed'
               end as change,
               kind,
               name
          from current
          full join stored using (kind, name)
         where current.definition is distinct from stored.definition
         order by name, kind
      ) as difference
  );
end;
$$;

-- Drops a queue, unless any transaction, a reader's included, blocks it.
create or replace function pg_temp.drop_queue(p_queue text)
returns void
language plpgsql
as $$
declare
  v_relation text;
begin
  foreach v_relation in array array['q_', 'a_'] loop
    v_relation := format('pgmq.%I', lower(v_relation || p_queue));
    continue when to_regclass(v_relation) is null;
    begin
      execute format('lock table %s in access exclusive mode nowait', v_relation);
    exception when lock_not_available then
      raise exception 'locked'
        using errcode = 'KBRLK', detail = v_relation, hint = 'all';
    end;
  end loop;
  perform pgmq.drop_queue(p_queue);
end;
$$;

-- Restores the data of the baseline: all of it, or nothing and an error.
create or replace function pg_temp.reset_data(
  p_lock_first      text,    -- The relation that blocked the last attempt, or null.
  p_lock_timeout_ms int,     -- How much of the lock timeout is left.
  p_known           jsonb,   -- What the last call returned as known, or null.
  p_only_detect     boolean, -- Only return whether there is anything to restore.
  p_is_same_schema  boolean default false -- The caller knows that no definition has changed.
)
returns jsonb
language plpgsql
as $reset$
declare
  -- Tables and sequences are referred to by their number in these lists. Parents come before children.
  c_table_names constant text[] := array[
    /* 1 */ 'commandbus.adoption_report',
    /* 2 */ 'commandbus.audit',
    /* 3 */ 'commandbus.batch',
    /* 4 */ 'commandbus.batch_counter',
    /* 5 */ 'commandbus.command',
    /* 6 */ 'commandbus.payload_archive',
    /* 7 */ 'commandbus.process',
    /* 8 */ 'commandbus.process_audit',
    /* 9 */ 'e2e.batch_summary',
    /* 10 */ 'e2e.config',
    /* 11 */ 'e2e.test_command',
    /* 12 */ 'pgmq.a_e2e__commands',
    /* 13 */ 'pgmq.a_e2e__replies',
    /* 14 */ 'pgmq.a_payments__commands',
    /* 15 */ 'pgmq.a_payments__replies',
    /* 16 */ 'pgmq.a_reporting__commands',
    /* 17 */ 'pgmq.a_reporting__process_replies',
    /* 18 */ 'pgmq.a_reporting__replies',
    /* 19 */ 'pgmq.a_reports__commands',
    /* 20 */ 'pgmq.a_reports__replies',
    /* 21 */ 'pgmq.a_test__commands',
    /* 22 */ 'pgmq.a_test__replies',
    /* 23 */ 'pgmq.meta',
    /* 24 */ 'pgmq.notify_insert_throttle',
    /* 25 */ 'pgmq.q_e2e__commands',
    /* 26 */ 'pgmq.q_e2e__replies',
    /* 27 */ 'pgmq.q_payments__commands',
    /* 28 */ 'pgmq.q_payments__replies',
    /* 29 */ 'pgmq.q_reporting__commands',
    /* 30 */ 'pgmq.q_reporting__process_replies',
    /* 31 */ 'pgmq.q_reporting__replies',
    /* 32 */ 'pgmq.q_reports__commands',
    /* 33 */ 'pgmq.q_reports__replies',
    /* 34 */ 'pgmq.q_test__commands',
    /* 35 */ 'pgmq.q_test__replies'
  ]::text[];
  c_table_oids constant oid[] := '{1001,1002,1003,1004,1005,1006,1007,1008,1009,1010,1011,1012,1013,1014,1015,1016,1017,1018,1019,1020,1021,1022,1023,1024,1025,1026,1027,1028,1029,1030,1031,1032,1033,1034,1035}'::oid[];
  -- Of the tables that hold their large values, 0 where there is none.
  c_toast_oids constant oid[] := '{4001,4002,4003,4004,4005,4006,4007,4008,4009,4010,4011,4012,4013,4014,4015,4016,4017,4018,4019,4020,4021,4022,4023,4024,4025,4026,4027,4028,4029,4030,4031,4032,4033,4034,4035}'::oid[];
  c_sequence_names constant text[] := array[
    /* 1 */ 'commandbus.adoption_report_finding_id_seq',
    /* 2 */ 'commandbus.audit_audit_id_seq',
    /* 3 */ 'commandbus.process_audit_id_seq',
    /* 4 */ 'e2e.batch_summary_id_seq',
    /* 5 */ 'e2e.test_command_id_seq',
    /* 6 */ 'pgmq.q_e2e__commands_msg_id_seq',
    /* 7 */ 'pgmq.q_e2e__replies_msg_id_seq',
    /* 8 */ 'pgmq.q_payments__commands_msg_id_seq',
    /* 9 */ 'pgmq.q_payments__replies_msg_id_seq',
    /* 10 */ 'pgmq.q_reporting__commands_msg_id_seq',
    /* 11 */ 'pgmq.q_reporting__process_replies_msg_id_seq',
    /* 12 */ 'pgmq.q_reporting__replies_msg_id_seq',
    /* 13 */ 'pgmq.q_reports__commands_msg_id_seq',
    /* 14 */ 'pgmq.q_reports__replies_msg_id_seq',
    /* 15 */ 'pgmq.q_test__commands_msg_id_seq',
    /* 16 */ 'pgmq.q_test__replies_msg_id_seq'
  ]::text[];
  c_sequence_oids constant oid[] := '{3001,3002,3003,3004,3005,3006,3007,3008,3009,3010,3011,3012,3013,3014,3015,3016}'::oid[];
  -- The queues of the baseline.
  c_queue_names constant text[] := array[
    /* 1 */ 'e2e__commands',
    /* 2 */ 'e2e__replies',
    /* 3 */ 'payments__commands',
    /* 4 */ 'payments__replies',
    /* 5 */ 'reporting__commands',
    /* 6 */ 'reporting__process_replies',
    /* 7 */ 'reporting__replies',
    /* 8 */ 'reports__commands',
    /* 9 */ 'reports__replies',
    /* 10 */ 'test__commands',
    /* 11 */ 'test__replies'
  ]::text[];

  -- Lock
  v_deadline      timestamptz;
  v_relation      text;                 -- The relation that is being locked.
  v_is_disposable boolean;
  v_queue         text;
  v_ignored       text;                 -- An assignment takes no query, where perform takes one.

  -- The baseline, and what is compared with it
  v_objects_fingerprint     numeric;
  v_objects_fingerprint_now numeric;
  v_objects_version         numeric;
  v_parts_fingerprint       numeric;
  v_parts_fingerprint_now   numeric;
  v_compare                 boolean := false; -- The definitions, one by one.
  v_differences             jsonb;
  v_plan_id                 uuid;
  v_plan_ids                uuid[] := '{}';
  v_last_attempt            bigint;     -- The last reset that was committed.
  v_attempt                 bigint;     -- The last reset that began to set sequences.

  -- What has to be restored, by the number of the table or view
  v_found   boolean[];                  -- A part of v_dirty.
  v_dirty   boolean[] := '{}';          -- The rows of the table differ from the baseline.
  v_restore boolean[] := '{}';          -- It is dirty, or foreign keys tie it to a dirty one.
  v_stale   boolean[] := '{}';          -- The materialized view has to be refreshed.

  -- What has to be restored, as lists
  v_number         int;
  v_size           bigint;
  v_large          int[]  := '{}';      -- Tables to be truncated rather than deleted.
  v_unforced       int[]  := '{}';      -- Tables whose row security is not forced at the moment.
  v_used_sequences int[]  := '{}';
  v_dropped_queues text[] := '{}';

  -- What the next reset has to compare
  v_snapshot          pg_snapshot;      -- Those transactions that were running when the schema was checked.
  v_keep_fingerprints boolean := false; -- The fingerprints differ, although no definition does.
  v_wrote_catalog     boolean := false; -- The reset itself has changed them.
begin
  ------------------------------------------------------------------------------------------
  -- Lock: everything that may have to wait does so before anything is changed
  ------------------------------------------------------------------------------------------

  -- Wait for the relation that blocked the last attempt, while nothing else is locked: long enough
  -- for PostgreSQL to cancel an autovacuum of it, but not longer, because writers queue up behind.
  if p_lock_first is not null then
    perform set_config('lock_timeout', least(p_lock_timeout_ms, 1600)::text, true);
    begin
      execute format('lock table %s in exclusive mode', p_lock_first);
    exception when lock_not_available then
      raise exception 'locked'
        using errcode = 'KBRLK', detail = p_lock_first;
    end;
  end if;

  -- From here on the reset waits while it holds locks: for less than deadlock_timeout, so that no
  -- session becomes a deadlock victim. First the row that marks the database disposable.
  v_deadline := clock_timestamp() + make_interval(secs => least(p_lock_timeout_ms, 400) / 1000.0);
  v_relation := 'provisioning.disposable';
  begin
    v_ignored := set_config('lock_timeout', least(p_lock_timeout_ms, 400)::text, true);
    lock table only provisioning.disposable in share row exclusive mode;
    select objects_fingerprint, parts_fingerprint, last_attempt, last_value,
           exists (
             select from provisioning.disposable
              where system_identifier = 7000000000000000000
                and database_oid = 16384
                and database_name = 'commandbus'
                and timeline = 1)
      into v_objects_fingerprint, v_parts_fingerprint, v_last_attempt, v_attempt,
           v_is_disposable
      from provisioning.reset_attempt
      left join provisioning.baseline
        on baseline_id = 1
       and last_migration = (
             select hash
               from graphile_migrate.migrations
              order by length(filename) desc, filename desc
              limit 1);
    if not v_is_disposable then
      raise exception 'not disposable' using errcode = 'KBRDI';
    end if;
    if v_last_attempt is null then
      raise exception 'no baseline' using errcode = 'KBRBA';
    end if;

    -- Then every table. Plain readers go on beside an exclusive lock.
    begin
      lock table
        only commandbus.adoption_report,
        only commandbus.audit,
        only commandbus.batch,
        only commandbus.batch_counter,
        only commandbus.command,
        only commandbus.payload_archive,
        only commandbus.process,
        only commandbus.process_audit,
        only e2e.batch_summary,
        only e2e.config,
        only e2e.test_command,
        only pgmq.a_e2e__commands,
        only pgmq.a_e2e__replies,
        only pgmq.a_payments__commands,
        only pgmq.a_payments__replies,
        only pgmq.a_reporting__commands,
        only pgmq.a_reporting__process_replies,
        only pgmq.a_reporting__replies,
        only pgmq.a_reports__commands,
        only pgmq.a_reports__replies,
        only pgmq.a_test__commands,
        only pgmq.a_test__replies,
        only pgmq.meta,
        only pgmq.notify_insert_throttle,
        only pgmq.q_e2e__commands,
        only pgmq.q_e2e__replies,
        only pgmq.q_payments__commands,
        only pgmq.q_payments__replies,
        only pgmq.q_reporting__commands,
        only pgmq.q_reporting__process_replies,
        only pgmq.q_reporting__replies,
        only pgmq.q_reports__commands,
        only pgmq.q_reports__replies,
        only pgmq.q_test__commands,
        only pgmq.q_test__replies
      in exclusive mode nowait;
    exception when lock_not_available then
      -- A writer has locked one of them: wait for one table after the other until the deadline.
      for v_relation in select name from unnest(c_table_names) as name order by name collate "C" loop
        perform set_config('lock_timeout',
          greatest(1, ceil(1000 * extract(epoch from v_deadline - clock_timestamp())))::text, true);
        execute format('lock table %s in exclusive mode', v_relation);
      end loop;
    end;
  exception when lock_not_available then
    raise exception 'locked'
      using errcode = 'KBRLK', detail = v_relation;
  end;

  ------------------------------------------------------------------------------------------
  -- Detect changes
  ------------------------------------------------------------------------------------------

  v_snapshot := pg_current_snapshot();

  if not p_is_same_schema then
    -- The version is read first. If the catalogue changes before the fingerprint is read, it is the version
    -- that is out of date, and the next reset reads the fingerprint again.
    v_objects_version := pg_temp.objects_version();
    if v_objects_version::text = p_known ->> 'objectsVersion' then
      v_objects_fingerprint_now := (p_known ->> 'objectsFingerprint')::numeric;
    else
      v_objects_fingerprint_now := pg_temp.objects_fingerprint();
    end if;
    v_compare := v_objects_fingerprint is distinct from v_objects_fingerprint_now;
    if v_compare then
      -- Drop the queues that are not in the baseline: without them, the catalogue should be the same.
      foreach v_queue in array array(
        select queue_name
          from pgmq.meta
         where lower(queue_name) <> all (c_queue_names)
         order by 1
      ) loop
        v_dropped_queues := v_dropped_queues || v_queue;
        if not p_only_detect then
          perform pg_temp.drop_queue(v_queue);
        end if;
      end loop;
      if p_only_detect and v_dropped_queues <> '{}' then
        return jsonb_build_object('isClean', false);
      end if;
      if v_dropped_queues <> '{}' then
        -- The version is read first. If the catalogue changes before the fingerprint is read, it is the version
        -- that is out of date, and the next reset reads the fingerprint again.
        v_objects_version := pg_temp.objects_version();
        if v_objects_version::text = p_known ->> 'objectsVersion' then
          v_objects_fingerprint_now := (p_known ->> 'objectsFingerprint')::numeric;
        else
          v_objects_fingerprint_now := pg_temp.objects_fingerprint();
        end if;
        v_compare := v_objects_fingerprint is distinct from v_objects_fingerprint_now;
      end if;
    end if;
  end if;

  -- Compare the definitions only if a fingerprint differs. That need not mean anything: a table may
  -- have been truncated, or a column renamed and renamed back.
  loop
    if v_compare then
      -- Taken before the definitions are read, so that the next reset notices a change in between.
      v_parts_fingerprint_now := pg_temp.parts_fingerprint();
      v_keep_fingerprints := true;
      -- A new queue can be missing in pgmq.meta, which is a table like any other.
      for v_queue in
        select queue
          from (
            select substr(relname, 3)
              from pg_class
             where relnamespace = to_regnamespace('pgmq')
               and relkind in ('r', 'p')
               and not relispartition
               and relname like 'q\_%'
          ) as existing (queue)
         where queue <> all (c_queue_names)
         order by 1
      loop
        v_dropped_queues := v_dropped_queues || v_queue;
        v_wrote_catalog := true;
        perform pg_temp.drop_queue(v_queue);
      end loop;
      v_differences := pg_temp.schema_differences();
      if v_differences is not null then
        raise exception 'schema changed'
          using errcode = 'KBRSC', detail = v_differences::text;
      end if;
      -- An object that was dropped and created again just as it was has another oid.
      if exists (
        select from unnest(c_table_names || c_sequence_names, c_table_oids || c_sequence_oids)
                    as generated_for (name, oid)
         where to_regclass(name) is distinct from oid
      ) then
        raise exception 'stale' using errcode = 'KBROL';
      end if;
    end if;

    v_plan_ids := '{}';
    v_dirty := '{}';
    -- These relations are only named, for the sake of the plan id: `true or` spares reading them.
    select pg_temp.new_plan_id() into v_plan_id
     where true
        or exists (select from commandbus.batch_progress);
    v_plan_ids := v_plan_ids || v_plan_id;
    -- Dirty is a table that was empty and has a row, or that had rows whose fingerprint differs.
    select pg_temp.new_plan_id(), array[
             /* 1 */ exists (select from only commandbus.adoption_report),
             /* 2 */ exists (select from only commandbus.audit),
             /* 3 */ exists (select from only commandbus.batch),
             /* 4 */ exists (select from only commandbus.batch_counter),
             /* 5 */ exists (select from only commandbus.command),
             /* 6 */ exists (select from only commandbus.payload_archive),
             /* 7 */ exists (select from only commandbus.process),
             /* 8 */ exists (select from only commandbus.process_audit),
             /* 9 */ exists (select from only e2e.batch_summary),
             /* 10 */ (
               select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
                 from only e2e.config
             ) is distinct from (select rows_fingerprint from provisioning.baseline_relation where name = 'e2e.config'),
             /* 11 */ exists (select from only e2e.test_command),
             /* 12 */ exists (select from only pgmq.a_e2e__commands),
             /* 13 */ exists (select from only pgmq.a_e2e__replies),
             /* 14 */ exists (select from only pgmq.a_payments__commands),
             /* 15 */ exists (select from only pgmq.a_payments__replies),
             /* 16 */ exists (select from only pgmq.a_reporting__commands)
           ]
      into v_plan_id, v_found;
    v_plan_ids := v_plan_ids || v_plan_id;
    v_dirty := v_dirty || v_found;
    select pg_temp.new_plan_id(), array[
             /* 17 */ exists (select from only pgmq.a_reporting__process_replies),
             /* 18 */ exists (select from only pgmq.a_reporting__replies),
             /* 19 */ exists (select from only pgmq.a_reports__commands),
             /* 20 */ exists (select from only pgmq.a_reports__replies),
             /* 21 */ exists (select from only pgmq.a_test__commands),
             /* 22 */ exists (select from only pgmq.a_test__replies),
             /* 23 */ (
               select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
                 from only pgmq.meta
             ) is distinct from (select rows_fingerprint from provisioning.baseline_relation where name = 'pgmq.meta'),
             /* 24 */ exists (select from only pgmq.notify_insert_throttle),
             /* 25 */ exists (select from only pgmq.q_e2e__commands),
             /* 26 */ exists (select from only pgmq.q_e2e__replies),
             /* 27 */ exists (select from only pgmq.q_payments__commands),
             /* 28 */ exists (select from only pgmq.q_payments__replies),
             /* 29 */ exists (select from only pgmq.q_reporting__commands),
             /* 30 */ exists (select from only pgmq.q_reporting__process_replies),
             /* 31 */ exists (select from only pgmq.q_reporting__replies),
             /* 32 */ exists (select from only pgmq.q_reports__commands)
           ]
      into v_plan_id, v_found;
    v_plan_ids := v_plan_ids || v_plan_id;
    v_dirty := v_dirty || v_found;
    select pg_temp.new_plan_id(), array[
             /* 33 */ exists (select from only pgmq.q_reports__replies),
             /* 34 */ exists (select from only pgmq.q_test__commands),
             /* 35 */ exists (select from only pgmq.q_test__replies)
           ]
      into v_plan_id, v_found;
    v_plan_ids := v_plan_ids || v_plan_id;
    v_dirty := v_dirty || v_found;

    exit when v_compare or p_is_same_schema or to_jsonb(v_plan_ids) = p_known -> 'planIds';
    v_compare := v_parts_fingerprint is distinct from pg_temp.parts_fingerprint();
    exit when not v_compare;
  end loop;

  -- Has the sequence another value than in the baseline? Its data are (last_value,is_called).
  v_used_sequences := array_positions(array[
    /* 1 */ not starts_with(pg_get_sequence_data(3001)::text, '(1,f'),
    /* 2 */ not starts_with(pg_get_sequence_data(3002)::text, '(1,f'),
    /* 3 */ not starts_with(pg_get_sequence_data(3003)::text, '(1,f'),
    /* 4 */ not starts_with(pg_get_sequence_data(3004)::text, '(1,f'),
    /* 5 */ not starts_with(pg_get_sequence_data(3005)::text, '(1,f'),
    /* 6 */ not starts_with(pg_get_sequence_data(3006)::text, '(1,f'),
    /* 7 */ not starts_with(pg_get_sequence_data(3007)::text, '(1,f'),
    /* 8 */ not starts_with(pg_get_sequence_data(3008)::text, '(1,f'),
    /* 9 */ not starts_with(pg_get_sequence_data(3009)::text, '(1,f'),
    /* 10 */ not starts_with(pg_get_sequence_data(3010)::text, '(1,f'),
    /* 11 */ not starts_with(pg_get_sequence_data(3011)::text, '(1,f'),
    /* 12 */ not starts_with(pg_get_sequence_data(3012)::text, '(1,f'),
    /* 13 */ not starts_with(pg_get_sequence_data(3013)::text, '(1,f'),
    /* 14 */ not starts_with(pg_get_sequence_data(3014)::text, '(1,f'),
    /* 15 */ not starts_with(pg_get_sequence_data(3015)::text, '(1,f'),
    /* 16 */ not starts_with(pg_get_sequence_data(3016)::text, '(1,f')
  ], true);

  if p_only_detect then
    -- Rows that were written may still be those of the baseline. A reset restores them anyway.
    if v_dirty[10] then
      v_dirty[10] := (
        select array_agg((whole_row.*)::text order by (whole_row.*)::text collate "C")
          from only e2e.config as whole_row
      ) is distinct from (
        select array_agg(content order by content collate "C")
          from provisioning.baseline_row
         where name = 'e2e.config'
      );
    end if;
    if v_dirty[23] then
      v_dirty[23] := (
        select array_agg((whole_row.*)::text order by (whole_row.*)::text collate "C")
          from only pgmq.meta as whole_row
      ) is distinct from (
        select array_agg(content order by content collate "C")
          from provisioning.baseline_row
         where name = 'pgmq.meta'
      );
    end if;
    return jsonb_build_object('isClean',
      v_attempt = v_last_attempt
      and v_dropped_queues = '{}'
      and v_used_sequences = '{}'
      and true <> all (v_dirty)
      and true <> all (v_stale));
  end if;

  -- All rows of a dirty table are deleted and inserted. That takes the rows along that refer to
  -- them: those of tables with a foreign key to it, and of all tables in a circle of foreign
  -- keys.
  v_restore := v_dirty;

  -- Truncate dirty tables from 1024 kB on. Their large values count from a main file of 64 kB on: the size of
  -- their table, or null if it has been replaced. Two files, where pg_table_size looks for twelve.
  foreach v_number in array array_positions(v_dirty, true) loop
    v_size := pg_relation_size(c_table_oids[v_number]);
    continue when v_size < 65536;
    if v_size + coalesce(pg_relation_size(c_toast_oids[v_number]), 0) >= 1048576 then
      v_large := v_large || v_number;
    end if;
  end loop;

  ------------------------------------------------------------------------------------------
  -- Change: locks that block readers are taken at once, or not at all
  ------------------------------------------------------------------------------------------

  -- Truncate what is large, unless a reader blocks it, this role may not, or a table that is left alone
  -- refers to it. PostgreSQL truncates a table
  -- only together with all tables that refer to it. So leave it if one of these is clean and has rows,
  -- which would be lost, or triggers, which would fire.
  foreach v_number in array v_large loop
    v_relation := case v_number
                    when 3 then 'only commandbus.batch, only commandbus.batch_counter, only commandbus.command'
                    when 7 then 'only commandbus.process, only commandbus.process_audit'
                    when 23 then 'only pgmq.meta, only pgmq.notify_insert_throttle'
                    else 'only ' || c_table_names[v_number]
                  end;
    begin
      execute format('lock table %s in access exclusive mode nowait', v_relation);
      execute format('truncate %s', v_relation);
      v_wrote_catalog := true;
    exception when lock_not_available or insufficient_privilege or feature_not_supported then
      -- The rows are deleted below.
    end;
  end loop;

  -- Delete, children before their parents. The foreign keys of a circle are checked at the end of
  -- the one statement that empties all its tables.
  if true = any (v_restore[20:35]) then
    if v_restore[35] then
      delete from only pgmq.q_test__replies;
    end if;
    if v_restore[34] then
      delete from only pgmq.q_test__commands;
    end if;
    if v_restore[33] then
      delete from only pgmq.q_reports__replies;
    end if;
    if v_restore[32] then
      delete from only pgmq.q_reports__commands;
    end if;
    if v_restore[31] then
      delete from only pgmq.q_reporting__replies;
    end if;
    if v_restore[30] then
      delete from only pgmq.q_reporting__process_replies;
    end if;
    if v_restore[29] then
      delete from only pgmq.q_reporting__commands;
    end if;
    if v_restore[28] then
      delete from only pgmq.q_payments__replies;
    end if;
    if v_restore[27] then
      delete from only pgmq.q_payments__commands;
    end if;
    if v_restore[26] then
      delete from only pgmq.q_e2e__replies;
    end if;
    if v_restore[25] then
      delete from only pgmq.q_e2e__commands;
    end if;
    if v_restore[24] then
      delete from only pgmq.notify_insert_throttle;
    end if;
    if v_restore[23] then
      delete from only pgmq.meta;
    end if;
    if v_restore[22] then
      delete from only pgmq.a_test__replies;
    end if;
    if v_restore[21] then
      delete from only pgmq.a_test__commands;
    end if;
    if v_restore[20] then
      delete from only pgmq.a_reports__replies;
    end if;
  end if;
  if true = any (v_restore[4:19]) then
    if v_restore[19] then
      delete from only pgmq.a_reports__commands;
    end if;
    if v_restore[18] then
      delete from only pgmq.a_reporting__replies;
    end if;
    if v_restore[17] then
      delete from only pgmq.a_reporting__process_replies;
    end if;
    if v_restore[16] then
      delete from only pgmq.a_reporting__commands;
    end if;
    if v_restore[15] then
      delete from only pgmq.a_payments__replies;
    end if;
    if v_restore[14] then
      delete from only pgmq.a_payments__commands;
    end if;
    if v_restore[13] then
      delete from only pgmq.a_e2e__replies;
    end if;
    if v_restore[12] then
      delete from only pgmq.a_e2e__commands;
    end if;
    if v_restore[11] then
      delete from only e2e.test_command;
    end if;
    if v_restore[10] then
      delete from only e2e.config;
    end if;
    if v_restore[9] then
      delete from only e2e.batch_summary;
    end if;
    if v_restore[8] then
      delete from only commandbus.process_audit;
    end if;
    if v_restore[7] then
      delete from only commandbus.process;
    end if;
    if v_restore[6] then
      delete from only commandbus.payload_archive;
    end if;
    if v_restore[5] then
      delete from only commandbus.command;
    end if;
    if v_restore[4] then
      delete from only commandbus.batch_counter;
    end if;
  end if;
  if true = any (v_restore[1:3]) then
    if v_restore[3] then
      delete from only commandbus.batch;
    end if;
    if v_restore[2] then
      delete from only commandbus.audit;
    end if;
    if v_restore[1] then
      delete from only commandbus.adoption_report;
    end if;
  end if;

  -- Insert, parents before their children, with the search path of the role: constraints and
  -- generated columns may call functions that depend on it.
  if true = any (v_restore[1:16]) then
    if v_restore[10] then
      v_ignored := set_config('search_path', '"$user", public', true);
      insert into e2e.config (key, value, updated_at) overriding system value
      select (stored.whole_row).key, (stored.whole_row).value, (stored.whole_row).updated_at
        from (
          select content::e2e.config as whole_row
            from provisioning.baseline_row
           where name = 'e2e.config'
           order by position
          offset 0
        ) as stored;
      v_ignored := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
      update provisioning.baseline_relation
         set rows_fingerprint = (
               select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
                 from only e2e.config)
       where name = 'e2e.config';
    end if;
  end if;
  if true = any (v_restore[17:32]) then
    if v_restore[23] then
      v_ignored := set_config('search_path', '"$user", public', true);
      insert into pgmq.meta (queue_name, is_partitioned, is_unlogged, created_at) overriding system value
      select (stored.whole_row).queue_name, (stored.whole_row).is_partitioned, (stored.whole_row).is_unlogged, (stored.whole_row).created_at
        from (
          select content::pgmq.meta as whole_row
            from provisioning.baseline_row
           where name = 'pgmq.meta'
           order by position
          offset 0
        ) as stored;
      v_ignored := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
      update provisioning.baseline_relation
         set rows_fingerprint = (
               select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
                 from only pgmq.meta)
       where name = 'pgmq.meta';
    end if;
  end if;

  -- Check what the baseline defers: a table with pending checks cannot be altered.
  set constraints all immediate;

  -- Keep the fingerprints for the next reset. If another transaction has ended meanwhile, its changes
  -- cannot be told from those of the reset: then null makes the next reset compare the definitions.
  if v_wrote_catalog then
    update provisioning.baseline
       set (objects_fingerprint, parts_fingerprint) = (
             select pg_temp.objects_fingerprint(), pg_temp.parts_fingerprint()
              where pg_temp.running_transactions(v_snapshot)
                    = pg_temp.running_transactions(pg_current_snapshot()));
  elsif v_keep_fingerprints then
    update provisioning.baseline
       set objects_fingerprint = v_objects_fingerprint_now,
           parts_fingerprint = v_parts_fingerprint_now;
  end if;

  if v_used_sequences <> '{}' or v_attempt <> v_last_attempt then
    update provisioning.baseline set last_attempt = v_attempt + 1;
    -- A rollback does not undo setval. If the commit fails, last_attempt and the sequence differ,
    -- which tells the next start that a reset was interrupted.
    v_ignored := setval('provisioning.reset_attempt', v_attempt + 1);
    perform setval(oid, last_value, is_called)
       from unnest(
              c_sequence_oids,
              '{1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}'::int8[],
              '{f,f,f,f,f,f,f,f,f,f,f,f,f,f,f,f}'::bool[]
            ) with ordinality as baseline (oid, last_value, is_called, number)
      where number = any (v_used_sequences);
  end if;

  return jsonb_build_object(
    'known', jsonb_build_object(
      'objectsVersion', v_objects_version::text,
      'objectsFingerprint', v_objects_fingerprint_now::text,
      'planIds', v_plan_ids),
    'dirty', array_positions(v_dirty, true),
    'restored', array_positions(v_restore, true),
    'sequences', v_used_sequences,
    'droppedQueues', v_dropped_queues);
end;
$reset$;
