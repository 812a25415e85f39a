import { rowsFingerprintSql } from '../../catalog/fingerprint.ts'
import { literal } from '../../postgres/quote.ts'
import { explain, sql } from '../../postgres/sql-text.ts'
import { raiseBlocked, SHORT_WAIT } from './blocked.ts'
import type { NumberedView } from './numbered.ts'

/** Fills v_stale: by materialized view, whether it differs from the baseline. */
export function detectStaleViews(views: readonly NumberedView[]): string {
  return explain(
    'A materialized view is stale if its rows differ from the baseline, or whether it is ' +
      'populated. Asked in two statements, because a view that is not populated cannot be read.',
    ...views.map(detectStaleView),
  )
}

function detectStaleView(view: NumberedView): string {
  const { oid, isStale, isPopulated } = view
  return sql`
    ${isStale} := (select relispopulated from pg_class where oid = ${oid}) <> ${isPopulated};
    ${isPopulated ? detectOtherRows(view) : ''}`
}

function detectOtherRows({ name, isStale, baselineFingerprint }: NumberedView): string {
  return sql`
    if not ${isStale} then
      ${isStale} := (
        ${rowsFingerprintSql(name)}
      ) is distinct from ${baselineFingerprint};
    end if;`
}

/** Refreshes the stale ones, once the rows that they are made of are restored. */
export function refreshViews(views: readonly NumberedView[]): string {
  return explain(
    'There is no REFRESH with NOWAIT, and readers wait behind a lock that waits: do not wait ' +
      'long.',
    ...views.map(refreshView),
  )
}

function refreshView({ name, isStale, isPopulated }: NumberedView): string {
  return sql`
    if ${isStale} then
      begin
        perform set_config('lock_timeout', '${SHORT_WAIT}', true);
        refresh materialized view ${name}${isPopulated ? '' : ' with no data'};
      exception when lock_not_available then
        ${raiseBlocked(literal(name), 'reader')}
      end;
      v_wrote_catalog := true;
      update provisioning.baseline_relation
         set rows_fingerprint = (
               ${isPopulated ? rowsFingerprintSql(name) : 'null'})
       where name = ${literal(name)};
    end if;`
}
