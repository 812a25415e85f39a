import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../postgres/client.ts'
import { type DatabaseError, isBlocked, sqlstateOf } from '../postgres/errors.ts'
import { RESET_STATE } from '../postgres/sqlstate.ts'
import { type Blocker, listBlockers, terminateBlockers } from './blockers.ts'
import { lockedError } from './errors.ts'

export interface LockOptions {
  /** How long to retry before the blockers are reported, or terminated. */
  readonly lockTimeoutMs: number
  readonly terminateBlockers: boolean
  /** Called before each attempt; throws once no client waits for the reset any more. */
  readonly assertWanted?: () => void
}

/** What one attempt is given. */
export interface Attempt {
  /** How long it may wait for its locks, at most. */
  readonly lockTimeoutMs: number
  /** The relation that a writer had locked in the last attempt: to be locked before all others. */
  readonly lockFirst: string | undefined
}

/** Where to search for blockers. */
export interface LockScope {
  readonly client: Queryable
  /** The relations that the reset locks. */
  readonly oids: readonly number[]
  /** Relations and schemas that are never locked. */
  readonly ignoredOids?: readonly number[]
}

/** The shortest time to wait for a lock: with less, a busy table is never locked. */
const SHORTEST_WAIT_MS = 30
/** The pause between attempts at a lock that cannot be waited for, as it would block all readers. */
const PAUSE_MS = 20
/** How often blockers are terminated: others may be queued behind them, but not for ever. */
const MAX_ROUNDS = 3

/**
 * Retries `work` until it gets its locks or the lock timeout has passed. A blocked attempt releases all
 * its locks, so that it never blocks other sessions for long. Blockers are terminated only after the
 * timeout, if requested; it then starts again, for the sessions queued behind them.
 */
export async function withLockRetry<T>(
  options: LockOptions,
  findScope: () => Promise<LockScope>,
  work: (attempt: Attempt) => Promise<T>,
): Promise<{ result: T; terminated: Blocker[] }> {
  const { lockTimeoutMs, assertWanted } = options
  const terminated: Blocker[] = []
  let startedAt = performance.now()
  let lockFirst: string | undefined

  for (let round = 1; ; ) {
    assertWanted?.()
    const attemptAt = performance.now()
    const leftMs = lockTimeoutMs - (attemptAt - startedAt)
    try {
      const result = await work({
        lockTimeoutMs: Math.max(leftMs, SHORTEST_WAIT_MS),
        lockFirst,
      })
      return { result, terminated }
    } catch (error) {
      if (sqlstateOf(error) !== RESET_STATE.locked && !isBlocked(error)) throw error
      const { detail: relation, hint } = error as DatabaseError
      const excludesReaders = hint === 'all'
      lockFirst = excludesReaders ? undefined : relation
      const waitedMs = performance.now() - startedAt
      if (waitedMs < lockTimeoutMs) {
        if (lockFirst === undefined) await sleep(Math.min(PAUSE_MS, lockTimeoutMs - waitedMs))
        continue
      }

      const { client, ...scope } = await findScope()
      const search = { ...scope, relation, excludesReaders }
      const minAgeMs = performance.now() - attemptAt
      let blockers = await listBlockers(client, { ...search, minAgeMs })
      // The blocker of the last attempt may have ended, and a younger transaction taken its place.
      if (blockers.length === 0) blockers = await listBlockers(client, { ...search, minAgeMs: 0 })
      const notTerminated = options.terminateBlockers
        ? await terminateBlockers(client, blockers)
        : blockers
      terminated.push(...blockers.filter((one) => !notTerminated.includes(one)))
      if (notTerminated.length > 0 || blockers.length === 0 || round === MAX_ROUNDS) {
        throw lockedError({
          lockTimeoutMs,
          blockers,
          terminated,
          notTerminated: options.terminateBlockers ? notTerminated : [],
        })
      }
      round += 1
      startedAt = performance.now()
    }
  }
}
