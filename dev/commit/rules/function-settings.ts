import { findPlaceOf } from '../text/places.ts'
import { isChangedRoutine, type RoutineState } from '../trial/catalog-state.ts'
import type { Trial } from '../trial/trial.ts'
import type { Rule } from './rule.ts'

/** The names in such a function mean something else for a caller with another search_path. */
export const functionSearchPath: Rule = {
  name: 'function-search-path',
  refuses: 'a function without a search_path of its own',
  check: (trial) =>
    listOwn(trial)
      .filter(({ hasSearchPath }) => !hasSearchPath)
      .map((routine) => ({
        message: `${routine.name} has no search_path, so its caller decides what its names mean`,
        remedy: 'add "set search_path = pg_catalog, pg_temp" to the function',
        place: findPlaceOf(trial.text, routine),
      })),
}

/** A function that everyone may execute because nothing says otherwise. */
export const functionGrants: Rule = {
  name: 'function-grants',
  refuses: 'a function on which nothing was granted or revoked, so that everyone may execute it',
  check: (trial) =>
    listOwn(trial)
      .filter(({ hasDefaultPrivileges }) => hasDefaultPrivileges)
      .map((routine) => ({
        message: `everyone may execute ${routine.name}, because nothing was granted or revoked`,
        remedy: `add "revoke all on ${routine.isProcedure ? 'procedure' : 'function'} ${routine.name} from public;", and grant it to those who need it`,
        place: findPlaceOf(trial.text, routine),
      })),
}

/** What the migration made or changed. */
function listOwn({ after, changed }: Trial): RoutineState[] {
  return [...after.routines.values()].filter((routine) => isChangedRoutine(routine, changed))
}
