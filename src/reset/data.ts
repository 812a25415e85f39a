import { setTimeout as sleep } from 'node:timers/promises'
import { type Blocker, endBlockers, listBlockers } from './blockers.ts'
import type { SchemaDifference } from './catalog.ts'
import { refuseNotDisposable } from './guard.ts'
import { refuseForbidden, refuseLocked, refuseNoBaseline, refuseSchemaChanged } from './refusals.ts'
import { RESET_STATE } from './reset-state.ts'
import type { Changes, ResetSessions } from './session.ts'

export interface DataResetOptions {
  readonly lockTimeoutMs: number
  readonly terminateBlockers: boolean
}

export interface DataResetResult {
  readonly changes: Changes
  readonly terminated: readonly Blocker[]
}

/** What PostgreSQL's own errors hold, and those of the reset's function. */
interface DatabaseError {
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly message: string
}

const LOCK_NOT_AVAILABLE = '55P03'
const DEADLOCK_DETECTED = '40P01'
const INSUFFICIENT_PRIVILEGE = '42501'

/** How often blockers are ended: behind one there can stand others, but not for ever. */
const MOST_ROUNDS = 3

/** The shortest wait in line; below it a busy table is never had. */
const SHORTEST_WAIT_MS = 30

/**
 * Resets the data: tries, gives way to who is in the way, and tries again until the time is up. Only
 * then are blockers ended, if so asked, and the time starts over for what stands behind them.
 */
export async function resetData(
  sessions: ResetSessions,
  databaseName: string,
  { lockTimeoutMs, terminateBlockers }: DataResetOptions,
): Promise<DataResetResult> {
  const terminated: Blocker[] = []
  let startedAt = performance.now()
  let first: string | undefined
  let replans = 0
  let rounds = 0

  for (;;) {
    const session = await sessions.open()
    const leftMs = lockTimeoutMs - (performance.now() - startedAt)
    try {
      const changes = await session.attempt(first, Math.max(leftMs, SHORTEST_WAIT_MS))
      return { changes, terminated }
    } catch (error) {
      const { code, detail, hint, message } = error as DatabaseError
      switch (code) {
        case RESET_STATE.notDisposable:
          throw refuseNotDisposable(databaseName)
        case RESET_STATE.schemaChanged:
          sessions.forgetPlan()
          throw refuseSchemaChanged(JSON.parse(detail ?? '[]') as SchemaDifference[])
        case RESET_STATE.locked:
        case LOCK_NOT_AVAILABLE:
        case DEADLOCK_DETECTED: {
          const needsAll = hint === 'all'
          first = needsAll ? undefined : detail
          const waitedMs = performance.now() - startedAt
          if (waitedMs < lockTimeoutMs) {
            // In line for a lock there is no need to pause.
            if (needsAll || first === undefined) await sleep(Math.min(20, lockTimeoutMs - waitedMs))
            break
          }
          const blockers = await listBlockers(session.client, {
            tableOids: session.model.tables.map((table) => table.oid),
            relation: detail,
            needsAll,
            waitedMs,
          })
          const refused = terminateBlockers ? await endBlockers(session.client, blockers) : blockers
          rounds += 1
          if (refused.length > 0 || blockers.length === 0 || rounds > MOST_ROUNDS) {
            throw refuseLocked({
              lockTimeoutMs,
              blockers,
              terminated: [...terminated, ...blockers.filter((one) => !refused.includes(one))],
              refused: terminateBlockers ? refused : [],
            })
          }
          terminated.push(...blockers)
          startedAt = performance.now()
          break
        }
        default: {
          // Something that the function names is not what it was: write it anew, and see.
          const isStale = code === RESET_STATE.stale || code === RESET_STATE.noBaseline
          if (!isStale && !code?.startsWith('42')) throw error
          sessions.forgetPlan()
          replans += 1
          if (replans <= 2) break
          if (code === RESET_STATE.noBaseline) throw refuseNoBaseline()
          if (code === INSUFFICIENT_PRIVILEGE) throw refuseForbidden([message])
          throw error
        }
      }
    }
  }
}
