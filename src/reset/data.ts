import { type DatabaseIdentity, notDisposableError } from '../baseline/disposable.ts'
import type { SchemaDifference } from '../catalog/diff.ts'
import type { OtherSchemas } from '../catalog/scope.ts'
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
  ignoredObjectsDependError,
  noBaselineError,
  notOwnerError,
  rowsNotRestorableError,
  schemaChangedError,
} from './errors.ts'
import { type Attempt, type LockOptions, withLockRetry } from './lock-retry.ts'
import type { Changes, ResetSession, ResetSessions } from './session.ts'

export interface DataReset<T> {
  readonly result: T
  readonly terminated: readonly Blocker[]
}

/** Restores the data of the baseline: completely, or not at all and with an error that says why. */
export function resetData(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  options: LockOptions,
): Promise<DataReset<Changes>> {
  return resetBy(sessions, database, options, (session, attempt) => session.attempt(attempt))
}

/** The same, where `call` is what calls the function. */
export function resetBy<T>(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  options: LockOptions,
  call: (session: ResetSession, attempt: Attempt) => Promise<T>,
): Promise<DataReset<T>> {
  return withLockRetry(options, sessions.findScope, (attempt) =>
    tryReset(sessions, database, call, attempt),
  )
}

/**
 * The function names objects of the catalogue. If an error may come from a catalogue that has changed
 * since, the function is generated again and called once more.
 */
async function tryReset<T>(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  call: (session: ResetSession, attempt: Attempt) => Promise<T>,
  attempt: Attempt,
  regenerated = 0,
): Promise<T> {
  try {
    return await call(await openSession(sessions), attempt)
  } catch (error) {
    const { message, detail } = error as DatabaseError
    const sqlstate = sqlstateOf(error)
    if (sqlstate === RESET_STATE.notDisposable) throw notDisposableError(database)
    const referring = findIgnoredReference(error, sessions.others)
    if (referring !== undefined) throw ignoredObjectsDependError([referring])
    if (isConstraintViolation(error)) throw rowsNotRestorableError(message)
    if (!mayBeStale(error)) throw error
    sessions.forgetFunction()
    // Another tool may make tables all the time in a schema that is to be emptied.
    if (regenerated < (sqlstate === RESET_STATE.stale ? MAX_REGENERATED : 1)) {
      const again = { ...attempt, lockFirst: undefined }
      return tryReset(sessions, database, call, again, regenerated + 1)
    }
    // The table rejects them, such as one in a publication that has no key.
    if (sqlstate === SQLSTATE.objectNotInPrerequisiteState) throw rowsNotRestorableError(message)
    if (sqlstate === RESET_STATE.noBaseline || isMissing(error)) throw noBaselineError()
    if (sqlstate === RESET_STATE.schemaChanged) {
      throw schemaChangedError(JSON.parse(detail ?? '[]') as SchemaDifference[])
    }
    if (isInsufficientPrivilege(error)) throw notOwnerError([message])
    throw error
  }
}

/** Throws if the seeds have changed since they ran. Another service may have rebuilt the database with them. */
export async function openSession(sessions: ResetSessions): Promise<ResetSession> {
  const session = await sessions.open()
  if (sessions.findChangedSeeds(session).length === 0) return session
  sessions.forgetFunction()
  const renewed = await sessions.open()
  const differences = sessions.findChangedSeeds(renewed)
  if (differences.length > 0) throw schemaChangedError(differences)
  return renewed
}

const MAX_REGENERATED = 5

/**
 * What an ignored schema has that refers to rows or objects which the reset has to remove; undefined if the
 * error has another cause.
 */
function findIgnoredReference(error: unknown, { ignored }: OtherSchemas): string | undefined {
  const { schema, table, constraint, detail } = error as DatabaseError
  const sqlstate = sqlstateOf(error)
  // The view or the like that needs a partition: one in another schema would be a difference.
  if (sqlstate === SQLSTATE.dependentObjectsStillExist) return detail
  const isIgnored =
    sqlstate === SQLSTATE.foreignKeyViolation && schema !== undefined && ignored.includes(schema)
  return isIgnored ? `rows of ${schema}.${table} (foreign key ${constraint})` : undefined
}

function mayBeStale(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return (
    isSyntaxOrAccessError(error) ||
    sqlstate === SQLSTATE.invalidSchemaName ||
    // A publication may have been created since.
    sqlstate === SQLSTATE.objectNotInPrerequisiteState ||
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
