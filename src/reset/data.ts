import { type DatabaseIdentity, notDisposableError } from '../baseline/disposable.ts'
import type { SchemaDifference } from '../catalog/diff.ts'
import {
  type DatabaseError,
  isConstraintViolation,
  isInsufficientPrivilege,
  isSyntaxOrAccessError,
  sqlstateOf,
} from '../postgres/errors.ts'
import { RESET_STATE, SQLSTATE } from '../postgres/sqlstate.ts'
import type { Blocker } from './blockers.ts'
import {
  noBaselineError,
  notOwnerError,
  rowsNotRestorableError,
  schemaChangedError,
} from './errors.ts'
import { type Attempt, type LockOptions, withLockRetry } from './lock-retry.ts'
import type { Changes, ResetSessions } from './session.ts'

export interface DataReset {
  readonly result: Changes
  readonly terminated: readonly Blocker[]
}

/** Restores the data of the baseline: completely, or not at all and with an error that says why. */
export function resetData(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  options: LockOptions,
): Promise<DataReset> {
  return withLockRetry(options, sessions.findScope, (attempt) =>
    tryReset(sessions, database, attempt),
  )
}

/**
 * The function names objects of the catalogue. If an error may come from a catalogue that has changed
 * since, the function is generated again and called once more.
 */
async function tryReset(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  attempt: Attempt,
  isRegenerated = false,
): Promise<Changes> {
  try {
    const session = await sessions.open()
    return await session.attempt(attempt)
  } catch (error) {
    const { message, detail } = error as DatabaseError
    const sqlstate = sqlstateOf(error)
    if (sqlstate === RESET_STATE.notDisposable) throw notDisposableError(database)
    if (isRowRejected(error)) throw rowsNotRestorableError(message)
    if (!mayBeStale(error)) throw error
    sessions.forgetFunction()
    if (!isRegenerated) {
      return tryReset(sessions, database, { ...attempt, lockFirst: undefined }, true)
    }
    if (sqlstate === RESET_STATE.noBaseline || isMissing(error)) throw noBaselineError()
    if (sqlstate === RESET_STATE.schemaChanged) {
      throw schemaChangedError(JSON.parse(detail ?? '[]') as SchemaDifference[])
    }
    if (isInsufficientPrivilege(error)) throw notOwnerError([message])
    throw error
  }
}

/** By a constraint; or by the table, such as one in a publication that has no key. */
function isRowRejected(error: unknown): boolean {
  return isConstraintViolation(error) || sqlstateOf(error) === SQLSTATE.objectNotInPrerequisiteState
}

function mayBeStale(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return (
    isSyntaxOrAccessError(error) ||
    sqlstate === SQLSTATE.invalidSchemaName ||
    sqlstate === RESET_STATE.noBaseline ||
    sqlstate === RESET_STATE.schemaChanged ||
    sqlstate === RESET_STATE.stale
  )
}

/** A table or schema that the function needs is missing: another service is rebuilding. */
function isMissing(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return sqlstate === SQLSTATE.undefinedTable || sqlstate === SQLSTATE.invalidSchemaName
}
