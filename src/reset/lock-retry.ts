import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../postgres/client.ts'
import { RESET_STATE } from '../postgres/sqlstate.ts'
import { type Blocker, endBlockers, listBlockers } from './blockers.ts'
import { refuseLocked } from './errors.ts'

export interface Patience {
  readonly lockTimeoutMs: number
  readonly terminateBlockers: boolean
  /** Asked while it waits; throws once nobody wants the reset any more. */
  readonly assertWanted?: () => void
}

/** What one attempt is given: how long it may wait, and what was in the way last time. */
export interface Attempt {
  readonly patienceMs: number
  readonly first: string | undefined
}

/** What PostgreSQL's own errors hold, and those of the reset's function. */
export interface DatabaseError {
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly message: string
}

/** Where to ask who is in the way. */
export interface LockScope {
  readonly client: Queryable
  /** Of the relations that are needed. */
  readonly oids: readonly number[]
}

export const LOCK_NOT_AVAILABLE = '55P03'
export const DEADLOCK_DETECTED = '40P01'
const LOCK_CODES = new Set<string | undefined>([
  RESET_STATE.locked,
  LOCK_NOT_AVAILABLE,
  DEADLOCK_DETECTED,
])

/** The shortest wait in line; below it a busy table is never had. */
const SHORTEST_WAIT_MS = 30
/** Between attempts at a lock that is not waited for in line. */
const PAUSE_MS = 20
/** How often blockers are ended: behind one there can stand others, but not for ever. */
const MOST_ROUNDS = 3

/**
 * Tries, gives way to whoever is in the way, and tries again until the time is up. Only then are blockers
 * ended, if so asked, and the time starts over for what stands behind them.
 */
export async function withPatience<T>(
  { lockTimeoutMs, terminateBlockers, assertWanted }: Patience,
  findScope: () => Promise<LockScope>,
  work: (attempt: Attempt) => Promise<T>,
): Promise<{ result: T; terminated: Blocker[] }> {
  const terminated: Blocker[] = []
  let startedAt = performance.now()
  let first: string | undefined

  for (let round = 1; ; ) {
    assertWanted?.()
    const attemptAt = performance.now()
    const leftMs = lockTimeoutMs - (attemptAt - startedAt)
    try {
      const result = await work({ first, patienceMs: Math.max(leftMs, SHORTEST_WAIT_MS) })
      return { result, terminated }
    } catch (error) {
      const { code, detail, hint } = error as DatabaseError
      if (!LOCK_CODES.has(code)) throw error
      const needsAll = hint === 'all'
      first = needsAll ? undefined : detail
      const waitedMs = performance.now() - startedAt
      if (waitedMs < lockTimeoutMs) {
        if (first === undefined) await sleep(Math.min(PAUSE_MS, lockTimeoutMs - waitedMs))
        continue
      }

      const { client, oids } = await findScope()
      const sought = { oids, relation: detail, needsAll }
      const minAgeMs = performance.now() - attemptAt
      let blockers = await listBlockers(client, { ...sought, minAgeMs })
      // Whoever was waited for has gone, and somebody else come.
      if (blockers.length === 0) blockers = await listBlockers(client, { ...sought, minAgeMs: 0 })
      const refused = terminateBlockers ? await endBlockers(client, blockers) : []
      if (terminateBlockers) terminated.push(...blockers.filter((one) => !refused.includes(one)))
      const isHopeless = refused.length > 0 || blockers.length === 0 || round === MOST_ROUNDS
      if (!terminateBlockers || isHopeless) {
        throw refuseLocked({ lockTimeoutMs, blockers, terminated, refused })
      }
      round += 1
      startedAt = performance.now()
    }
  }
}
