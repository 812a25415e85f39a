import { type DatabaseIdentity, notDisposableError } from '../baseline/disposable.ts'
import type { SchemaDifference } from '../catalog/diff.ts'
import { RESET_STATE } from '../postgres/sqlstate.ts'
import type { Blocker } from './blockers.ts'
import { refuseForbidden, refuseNoBaseline, refuseRows, refuseSchemaChanged } from './errors.ts'
import { type Attempt, type DatabaseError, type Patience, withPatience } from './lock-retry.ts'
import type { Changes, ResetSessions } from './session.ts'

export interface DataReset {
  readonly result: Changes
  readonly terminated: readonly Blocker[]
}

const INSUFFICIENT_PRIVILEGE = '42501'
const [UNDEFINED_TABLE, UNDEFINED_SCHEMA] = ['42P01', '3F000']
/** A row that the migrations left, and that their constraints do not let in again. */
const INTEGRITY_CLASS = '23'
/** A table whose rows may not be deleted, as one of a publication that has no key. */
const NOT_IN_STATE = '55000'

/** Puts the data back to the baseline: all of it, or nothing and an error that says why. */
export function resetData(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  patience: Patience,
): Promise<DataReset> {
  return withPatience(patience, sessions.findScope, (attempt) =>
    tryReset(sessions, database, attempt),
  )
}

/** The function names what the catalogue holds; where that is not what it was, it is written anew. */
async function tryReset(
  sessions: ResetSessions,
  database: DatabaseIdentity,
  { first, patienceMs }: Attempt,
  isAnew = false,
): Promise<Changes> {
  try {
    const session = await sessions.open()
    return await session.attempt(first, patienceMs)
  } catch (error) {
    const { code, detail, message } = error as DatabaseError
    if (code === RESET_STATE.notDisposable) throw notDisposableError(database)
    if (code?.startsWith(INTEGRITY_CLASS) || code === NOT_IN_STATE) throw refuseRows(message)
    const mayBeStale = code?.startsWith('42') || ANEW_STATES.has(code)
    if (!mayBeStale) throw error
    sessions.forgetPlan()
    if (!isAnew) return tryReset(sessions, database, { first: undefined, patienceMs }, true)
    // Somebody else, who rebuilds, has just dropped what is looked for.
    if (code === RESET_STATE.noBaseline || GONE.has(code)) throw refuseNoBaseline()
    if (code === RESET_STATE.schemaChanged) {
      throw refuseSchemaChanged(JSON.parse(detail ?? '[]') as SchemaDifference[])
    }
    if (code === INSUFFICIENT_PRIVILEGE) throw refuseForbidden([message])
    throw error
  }
}

const GONE = new Set<string | undefined>([UNDEFINED_TABLE, UNDEFINED_SCHEMA])

const ANEW_STATES = new Set<string | undefined>([
  UNDEFINED_SCHEMA,
  RESET_STATE.noBaseline,
  RESET_STATE.schemaChanged,
  RESET_STATE.stale,
])
