import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { describeError, isConnectionRefusedForNow } from './errors.ts'

export interface ConnectingOptions {
  /** How long to try before giving up. */
  readonly waitMs: number
  readonly log: Log
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** Called once, when the first attempt is refused. */
  readonly onWaiting?: (reason: string) => void
}

const RETRY_MS = 200

/** Runs `attempt`, which starts by connecting, again for as long as the server refuses for now. */
export async function retryConnecting<T>(
  attempt: () => Promise<T>,
  { waitMs, log, signal, onWaiting }: ConnectingOptions,
): Promise<T> {
  const deadline = Date.now() + waitMs
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isConnectionRefusedForNow(error)) throw error
      const reason = describeError(error)
      if (Date.now() >= deadline) {
        throw new ServiceError(
          'database_not_reached',
          `the database accepted no connection within ${waitMs / 1000} s: ${reason}; allow its ` +
            'user more connections, or raise DATABASE_WAIT_SECONDS',
          { cause: error },
        )
      }
      if (tries === 1) {
        log.info({ reason }, 'waiting for a connection to the database')
        onWaiting?.(reason)
      }
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}
