import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'

export interface ConnectingOptions {
  /** How long to try before giving up. */
  readonly waitMs: number
  readonly log: Log
  /** Ends the wait; the promise is rejected with the signal's reason. */
  readonly signal: AbortSignal
}

const RETRY_MS = 200

/** Too many connections, starting up or shutting down, a connection that failed: waiting mends it. */
export function isRefusedForNow(error: unknown): boolean {
  return /^(53300|57P03|08...)$/.test((error as { code?: string }).code ?? '')
}

/** Does what begins with a connection, and again while the server refuses that for now. */
export async function retryConnecting<T>(
  attempt: () => Promise<T>,
  { waitMs, log, signal }: ConnectingOptions,
): Promise<T> {
  const deadline = Date.now() + waitMs
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isRefusedForNow(error)) throw error
      const { message: reason } = error as Error
      if (Date.now() >= deadline) {
        throw new ServiceError(
          'database_not_reached',
          `the database gave no connection within ${waitMs / 1000} s: ${reason}; give its user ` +
            'more connections, or raise DATABASE_WAIT_SECONDS',
          { cause: error },
        )
      }
      if (tries === 1) log.info({ reason }, 'waiting for a connection to the database')
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}
