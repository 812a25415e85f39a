import { isMarkedSql, type ThisDatabase } from '../../baseline/disposable.ts'
import { LAST_MIGRATION_SQL } from '../../baseline/last-migration.ts'
import type { Baseline } from '../../baseline/store.ts'
import { literal } from '../../postgres/quote.ts'
import { explain, sql } from '../../postgres/sql-text.ts'
import { RESET_STATE } from '../../postgres/sqlstate.ts'
import { raiseBlocked } from './blocked.ts'
import type { NumberedSchema, NumberedTable, NumberedView } from './numbered.ts'

/** Waits for the relation that blocked the last attempt. */
export function lockLastBlocker(lockWaitMs: number): string {
  return sql`
    -- Wait for the relation that blocked the last attempt, while nothing else is locked: long enough
    -- for PostgreSQL to cancel an autovacuum of it, but not longer, because writers queue up behind.
    if p_lock_first is not null then
      perform set_config('lock_timeout', least(p_lock_timeout_ms, ${lockWaitMs * 4})::text, true);
      begin
        execute format('lock table %s in exclusive mode', p_lock_first);
      exception when lock_not_available then
        ${raiseBlocked('p_lock_first', 'writer')}
      end;
    end if;`
}

export interface LockTablesOptions {
  readonly baseline: Baseline
  /** Read in the session of the function. */
  readonly thisDatabase: ThisDatabase
  readonly lockWaitMs: number
}

/** Locks the row that marks the database disposable, reads the baseline, and locks every table. */
export function lockTables(
  { tables }: NumberedSchema,
  { baseline, thisDatabase, lockWaitMs }: LockTablesOptions,
): string {
  return sql`
    -- From here on the reset waits while it holds locks: for less than deadlock_timeout, so that no
    -- session becomes a deadlock victim. First the row that marks the database disposable.
    v_deadline := clock_timestamp() + make_interval(secs => least(p_lock_timeout_ms, ${lockWaitMs}) / 1000.0);
    v_relation := 'provisioning.disposable';
    begin
      v_ignored := set_config('lock_timeout', least(p_lock_timeout_ms, ${lockWaitMs})::text, true);
      lock table only provisioning.disposable in share row exclusive mode;
      select objects_fingerprint, parts_fingerprint, last_attempt, last_value,
             ${isMarkedSql(thisDatabase)}
        into v_objects_fingerprint, v_parts_fingerprint, v_last_attempt, v_attempt,
             v_is_disposable
        from provisioning.reset_attempt
        left join provisioning.baseline
          on baseline_id = ${baseline.id}
         and last_migration = (
               ${LAST_MIGRATION_SQL});
      if not v_is_disposable then
        raise exception 'not disposable' using errcode = '${RESET_STATE.notDisposable}';
      end if;
      if v_last_attempt is null then
        raise exception 'no baseline' using errcode = '${RESET_STATE.noBaseline}';
      end if;

      ${lockAllTables(tables)}
    exception when lock_not_available then
      ${raiseBlocked('v_relation', 'writer')}
    end;`
}

/** Against writers only, and with one statement as long as nothing blocks it. */
function lockAllTables(tables: readonly NumberedTable[]): string {
  if (tables.length === 0) return ''
  const sources = tables.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ source }) => source)
  return sql`
    -- Then every table. Plain readers go on beside an exclusive lock.
    begin
      lock table
        ${sources.join(',\n')}
      in exclusive mode nowait;
    exception when lock_not_available then
      -- A writer has locked one of them: wait for one table after the other until the deadline.
      for v_relation in select name from unnest(c_table_names) as name order by name collate "C" loop
        perform set_config('lock_timeout',
          greatest(1, ceil(1000 * extract(epoch from v_deadline - clock_timestamp())))::text, true);
        execute format('lock table %s in exclusive mode', v_relation);
      end loop;
    end;`
}

/** Locks every materialized view against a refresh, and lets its readers go on. */
export function lockMaterializedViews(views: readonly NumberedView[]): string {
  if (views.length === 0) return ''
  return explain(
    'A running refresh may have read rows that the reset is about to remove. Setting the comment ' +
      'that a view has anyway needs a lock that waits for the refresh, but not for readers.',
    ...views.map(lockMaterializedView),
  )
}

function lockMaterializedView({ oid, name }: NumberedView): string {
  return sql`
    begin
      execute format('comment on materialized view %s is %L',
                     ${literal(name)}, obj_description(${oid}, 'pg_class'));
    exception when lock_not_available then
      ${raiseBlocked(literal(name), 'reader')}
    end;`
}
