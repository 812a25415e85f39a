import { IS_DISPOSABLE_SQL } from '../../baseline/disposable.ts'
import { LAST_MIGRATION_SQL } from '../../baseline/store.ts'
import type { MaterializedView } from '../../catalog/tables.ts'
import { literal, textArray } from '../../postgres/quote.ts'
import { RESET_STATE } from '../../postgres/sqlstate.ts'
import { raiseLocked } from './blocked.ts'
import type { PlanOptions } from './generate.ts'

/**
 * The table that was in the way is waited for while nothing else is held: long enough for PostgreSQL
 * to end an autovacuum on it, but not for ever, since writers stand in line behind.
 */
export function planFirstLock({ giveWayMs }: PlanOptions): string {
  return `
  if p_first is not null then
    perform set_config('lock_timeout', least(p_patience_ms, ${giveWayMs * 4})::text, true);
    begin
      execute format('lock table %s in exclusive mode', p_first);
    exception when lock_not_available then
      ${raiseLocked('p_first', '')}
    end;
  end if;`
}

/** Consent first, then every table; only plain readers go on beside an exclusive lock. */
export function planLocks(
  { baseline, model, giveWayMs }: PlanOptions,
  signNames: string[],
): string {
  const names = model.tables.map((table) => table.name).toSorted()
  const lockTables = `
    begin
      lock table ${names.join(', ')} in exclusive mode nowait;
    exception when lock_not_available then
      foreach v_table in array ${textArray(names)} loop
        perform set_config('lock_timeout', greatest(1, ceil(1000 * extract(epoch from
          v_deadline - clock_timestamp())))::text, true);
        execute format('lock table %s in exclusive mode', v_table);
      end loop;
    end;`
  return `
  v_deadline := clock_timestamp() + make_interval(secs => least(p_patience_ms, ${giveWayMs}) / 1000.0);
  v_table := 'provisioning.disposable';
  begin
    perform set_config('lock_timeout', least(p_patience_ms, ${giveWayMs})::text, true);
    lock table provisioning.disposable in share row exclusive mode;
    select ${IS_DISPOSABLE_SQL}, objects_fingerprint, parts_fingerprint, last_attempt, last_value,
           array(select rows_fingerprint
                   from unnest(${textArray(signNames)}) with ordinality as kept (name, number)
                   left join provisioning.baseline_relation using (name)
                  order by number)
      into v_is_disposable, v_catalog_sign, v_parts_sign, v_last_attempt, v_attempt, v_signs
      from provisioning.reset_attempt
      left join provisioning.baseline
        on baseline_id = ${baseline.id} and last_migration = (${LAST_MIGRATION_SQL});
    if not v_is_disposable then
      raise exception 'not disposable' using errcode = '${RESET_STATE.notDisposable}';
    end if;
    if v_last_attempt is null then
      raise exception 'no baseline' using errcode = '${RESET_STATE.noBaseline}';
    end if;${names.length > 0 ? lockTables : ''}
  exception when lock_not_available then
    ${raiseLocked('v_table', '')}
  end;${model.materializedViews.map(planViewLock).join('')}`
}

/**
 * Whoever refreshes it is waited for: a refresh reads tables, which it may do, and would bring in what
 * it has read. A comment takes a lock against that, and none against readers.
 */
function planViewLock({ oid, name }: MaterializedView): string {
  return `
  begin
    execute format('comment on materialized view %s is %L', ${literal(name)},
                   obj_description(${oid}, 'pg_class'));
  exception when lock_not_available then
    ${raiseLocked(literal(name), 'all')}
  end;`
}
