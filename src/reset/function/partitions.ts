import { isUserSchema, notCompared } from '../../catalog/scope.ts'
import { sql } from '../../postgres/sql-text.ts'
import { raiseBlocked } from './blocked.ts'
import type { NumberedSchema } from './numbered.ts'

/** Whether there can be partitions at all. */
export function hasPartitioned({ tables }: NumberedSchema): boolean {
  return tables.some(({ isPartitioned }) => isPartitioned)
}

/** Finds the partitions that were created since the baseline, and locks what dropping them needs. */
export function findNewPartitions(schema: NumberedSchema): string {
  if (!hasPartitioned(schema)) return ''
  return sql`
    -- A partition that was created since is dropped, once no row of the baseline's tables refers to it.
    v_new_partitions := array(
      select pg_class.oid
        from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        join pg_namespace on pg_namespace.oid = relnamespace
       where relispartition
         and relkind in ('r', 'p')
         and ${isUserSchema('nspname', ['pgmq', ...notCompared(schema.others)])}
         and pg_partition_root(pg_class.oid) = any (c_table_oids)
         and not exists (
               select from provisioning.baseline_object
                where kind = 'table' and name = format('%I.%I', nspname, relname))
       order by pg_class.oid);
    if v_new_partitions <> '{}' then
      if p_only_detect then
        return jsonb_build_object('isClean', false);
      end if;
      v_dropped_partitions := array(
        select oid::regclass::text from unnest(v_new_partitions) as oid order by 1);
      -- It is taken from its parent and from foreign keys, which readers of these tables must not see.
      for v_relation in
        select distinct oid::regclass::text
          from (select inhparent from pg_inherits where inhrelid = any (v_new_partitions)
                 union
                select unnest(array[conrelid, confrelid])
                  from pg_constraint
                 where contype = 'f'
                   and (conrelid = any (v_new_partitions) or confrelid = any (v_new_partitions)))
               as needed (oid)
         order by 1
      loop
        begin
          execute format('lock table %s in access exclusive mode nowait', v_relation);
        exception when lock_not_available then
          ${raiseBlocked('v_relation', 'reader')}
        end;
      end loop;
      -- Its triggers are not among those that are disabled and enabled by name.
      foreach v_relation in array v_dropped_partitions loop
        execute format('alter table only %s disable trigger user', v_relation);
      end loop;
      v_wrote_catalog := true;
    end if;`
}

/** Drops the new partitions, when all rows that have to go are deleted, and those of the baseline are missing. */
export function dropNewPartitions(schema: NumberedSchema): string {
  if (!hasPartitioned(schema)) return ''
  return sql`
    -- Drop the partitions that were created since, each with its own partitions.
    if v_new_partitions <> '{}' then
      -- A table with pending checks cannot be altered.
      set constraints all immediate;
      for v_relation, v_parent in
        select inhrelid::regclass, inhparent::regclass
          from pg_inherits
         where inhrelid = any (v_new_partitions) and inhparent <> all (v_new_partitions)
      loop
        execute format('alter table %s detach partition %s', v_parent, v_relation);
        execute format('drop table %s', v_relation);
      end loop;
      set constraints all deferred;
    end if;`
}
