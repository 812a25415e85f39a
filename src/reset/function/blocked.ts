import { literal } from '../../postgres/quote.ts'
import { sql } from '../../postgres/sql-text.ts'
import { RESET_STATE } from '../../postgres/sqlstate.ts'

/**
 * Raises the error for a relation, an expression, that another transaction has locked. If that is a
 * writer, the next attempt waits for it; a lock that readers block is never waited for.
 */
export function raiseBlocked(relation: string, by: 'writer' | 'reader'): string {
  return sql`
    raise exception 'locked'
      using errcode = '${RESET_STATE.locked}', detail = ${relation}${by === 'reader' ? `, hint = 'all'` : ''};`
}

/** Locks a relation against readers, at once or not at all: new readers would queue up behind a lock that waits. */
export function lockAtOnce(name: string): string {
  return sql`
    begin
      lock table ${name} in access exclusive mode nowait;
    exception when lock_not_available then
      ${raiseBlocked(literal(name), 'reader')}
    end;`
}

/** How long to wait for a lock against readers where the statement has no `nowait`. */
export const SHORT_WAIT = '20ms'
