import type { Blocker } from './blockers.ts'
import type { SchemaDifference } from './catalog.ts'
import { refuseNotDisposable } from './guard.ts'
import { type Attempt, type DatabaseError, type Patience, withPatience } from './patience.ts'
import { refuseForbidden, refuseNoBaseline, refuseSchemaChanged } from './refusals.ts'
import { RESET_STATE } from './reset-state.ts'
import type { Changes, ResetSessions } from './session.ts'

export interface DataReset {
  readonly result: Changes
  readonly terminated: readonly Blocker[]
}

const INSUFFICIENT_PRIVILEGE = '42501'

/** Puts the data back to the baseline: all of it, or nothing and an error that says why. */
export function resetData(
  sessions: ResetSessions,
  databaseName: string,
  patience: Patience,
): Promise<DataReset> {
  const findScope = async () => {
    const { client, model } = await sessions.open()
    return { client, tableOids: model.tables.map((table) => table.oid) }
  }
  return withPatience(patience, findScope, (attempt) => tryReset(sessions, databaseName, attempt))
}

/** The function names what the catalogue holds; where that is not what it was, it is written anew. */
async function tryReset(
  sessions: ResetSessions,
  databaseName: string,
  { first, patienceMs }: Attempt,
  isAnew = false,
): Promise<Changes> {
  const session = await sessions.open()
  try {
    return await session.attempt(first, patienceMs)
  } catch (error) {
    const { code, detail, message } = error as DatabaseError
    if (code === RESET_STATE.notDisposable) throw refuseNotDisposable(databaseName)
    const mayBeStale = code?.startsWith('42') || ANEW_STATES.has(code)
    if (!mayBeStale) throw error
    sessions.forgetPlan()
    if (!isAnew) return tryReset(sessions, databaseName, { first: undefined, patienceMs }, true)
    if (code === RESET_STATE.noBaseline) throw refuseNoBaseline()
    if (code === RESET_STATE.schemaChanged) {
      throw refuseSchemaChanged(JSON.parse(detail ?? '[]') as SchemaDifference[])
    }
    if (code === INSUFFICIENT_PRIVILEGE) throw refuseForbidden([message])
    throw error
  }
}

const ANEW_STATES = new Set<string | undefined>([
  RESET_STATE.noBaseline,
  RESET_STATE.schemaChanged,
  RESET_STATE.stale,
])
