import { literal } from './literal.ts'

/** SQLSTATEs by which the function says why it gave up; nothing is changed then. */
export const RESET_STATE = {
  notDisposable: 'KBRDI',
  noBaseline: 'KBRBA',
  /** Detail: the differences, as JSON. */
  schemaChanged: 'KBRSC',
  /** An object was made anew, just as it was: the function has to be written anew. */
  stale: 'KBROL',
  /** Detail: the relation that was in the way. Hint: `all`, where even a reader is. */
  locked: 'KBRLK',
} as const

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
