import { literal } from '../../postgres/quote.ts'
import { RESET_STATE } from '../../postgres/sqlstate.ts'

/** PL/pgSQL that tells what was in the way, given as an expression; without `all`, a writer was. */
export function raiseLocked(relation: string, hint: '' | 'all'): string {
  return `raise exception 'locked'
        using errcode = '${RESET_STATE.locked}', detail = ${relation}, hint = '${hint}';`
}

/** At once or not at all: a lock that waits for one reader holds up all those after it. */
export function lockAtOnce(name: string): string {
  return `begin
      lock table ${name} in access exclusive mode nowait;
    exception when lock_not_available then
      ${raiseLocked(literal(name), 'all')}
    end;`
}
