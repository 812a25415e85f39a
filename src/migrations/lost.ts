import { setTimeout as sleep } from 'node:timers/promises'
import { describeError, isConnectionLost } from '../postgres/errors.ts'
import { lostError, type ReachOptions, waitUntilReachable } from './lock-session.ts'

/** A session of another process was lost; the message is that process's error. */
export class SessionLostError extends Error {}

/** The database went away while it was used, and may come back. */
export function isDatabaseLost(error: unknown): boolean {
  return error instanceof SessionLostError || isConnectionLost(error)
}

export interface Recovery {
  /** How many migrations the history has: as long as it grows, losses are not counted. */
  noteApplied(count: number): void
  /** Waits until the database answers again; throws `database_lost` if it does not, or if it is lost again and again. */
  reconnect(error: unknown): Promise<void>
}

/** More losses in a row, without one more migration, have a cause that waiting does not remove. */
const MAX_LOSSES = 5
const PAUSE_MS = 100

export function createRecovery(
  options: ReachOptions & { readonly canReconnect: boolean },
): Recovery {
  const { log, signal, onWait, canReconnect } = options
  let applied = -1
  let losses = 0
  return {
    noteApplied(count) {
      if (count > applied) losses = 0
      applied = count
    },
    async reconnect(error) {
      const reason = describeError(error)
      losses += 1
      if (!canReconnect) throw lostError(reason, error)
      if (losses > MAX_LOSSES) {
        throw lostError(
          `${reason}; this was loss ${losses} without one more migration applied`,
          error,
        )
      }
      log.warn({ reason }, 'lost the database while provisioning; reconnecting')
      onWait(`lost the database: ${reason}`)
      // A server that is going down may still accept a session.
      await sleep(PAUSE_MS * 2 ** losses, undefined, { signal }).catch(() => {})
      signal.throwIfAborted()
      await waitUntilReachable(options, reason)
    },
  }
}
