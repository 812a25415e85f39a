import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { describeError, isConnectionLost, isConnectionRefusedForNow } from '../postgres/errors.ts'
import { waitForDatabase } from '../postgres/wait.ts'

export interface ReachOptions {
  readonly config: Pick<Config, 'databaseWaitMs'>
  readonly database: Pick<Database, 'url' | 'open'>
  readonly log: Log
  readonly signal: AbortSignal
  /** Receives what the wait is for. */
  readonly onWait: (detail: string) => void
}

/** The longest that the session waits for a lock; the wait is repeated, and its blockers are named. */
const LOCK_TIMEOUT = '1s'
/** Random, so that many instances that share a limit of connections spread out. */
const REFUSED_PAUSE_MS = { min: 200, max: 800 }

/**
 * Opens the session that acquires the migration lock; hooks may keep it busy for as long as they need.
 * While the server refuses it for now, or is gone, waits for `DATABASE_WAIT_SECONDS`. `opened` is a session
 * that is tried first.
 */
export async function openLockSession(
  options: ReachOptions,
  opened?: SessionClient,
): Promise<SessionClient> {
  const { config, log, signal, onWait } = options
  const deadline = performance.now() + config.databaseWaitMs
  let isReported = false
  let next = opened
  while (true) {
    try {
      const client = next ?? (await options.database.open('lock'))
      next = undefined
      return await limitLocks(client)
    } catch (error) {
      signal.throwIfAborted()
      const isRefused = isConnectionRefusedForNow(error)
      const reason = describeError(error)
      // This also reports a login that is rejected by now as it is reported at the start.
      if (!isRefused) await waitUntilReachable(options, reason)
      if (!isRefused && !isConnectionLost(error)) throw error
      if (performance.now() >= deadline)
        throw noConnectionError(reason, config.databaseWaitMs, error)
      if (!isReported) log.info({ reason }, 'waiting for a connection to the database')
      isReported = true
      onWait(`waiting for a connection to the database: ${reason}`)
    }
    const { min, max } = REFUSED_PAUSE_MS
    await sleep(min + Math.random() * (max - min), undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

/**
 * Waits until a database that was lost accepts sessions again; throws `database_lost` if it does not in
 * time, and at once the error of a start where waiting does not help. `reason` says how it was lost.
 */
export async function waitUntilReachable(
  { config, database, log, signal, onWait }: ReachOptions,
  reason: string,
): Promise<void> {
  const waitMs = config.databaseWaitMs
  try {
    await waitForDatabase(() => database.url, { waitMs, purpose: 'wait', log, signal, onWait })
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'database_not_reached') throw error
    throw lostError(
      `${reason}; not reached again within ${waitMs / 1000} s: ${error.message}`,
      error,
    )
  }
}

export function lostError(reason: string, cause: unknown): ServiceError {
  return new ServiceError('database_lost', `lost the database while provisioning: ${reason}`, {
    cause,
  })
}

async function limitLocks(client: SessionClient): Promise<SessionClient> {
  try {
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`)
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

function noConnectionError(reason: string, waitMs: number, cause: unknown): ServiceError {
  return new ServiceError(
    'database_not_reached',
    `the database accepted no connection within ${waitMs / 1000} s: ${reason}; allow its user more ` +
      'connections, or raise DATABASE_WAIT_SECONDS',
    { cause },
  )
}
