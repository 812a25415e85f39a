import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { applicationName } from './application-name.ts'
import {
  type ConnectionTarget,
  describeTarget,
  openSession,
  type SessionFacts,
} from './connection/session.ts'
import { describeError } from './errors.ts'

export interface WaitOptions {
  /** How long to try before giving up. */
  readonly waitMs: number
  /** What the session is for, as pg_stat_activity shows it. */
  readonly purpose: string
  readonly log: Log
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** Receives what the wait is for, at the start and then with each log line. */
  readonly onWait?: (detail: string) => void
}

/** What a usable server reports about itself. */
export interface ServerFacts {
  /** As `show server_version` prints it: `18.4`. */
  readonly serverVersion: string
}

const RETRY_MS = 200
const LOG_EVERY_MS = 1000
/** Limits of one attempt, whether less or more time is left. */
const SHORTEST_ATTEMPT_MS = 1000
const OLDEST_VERSION = 15

/**
 * Waits until the database accepts connections and can be written to. Retries an unreachable server
 * until `waitMs` have passed; a server that rejects the login or cannot be used is an error at once.
 */
export async function waitForDatabase(
  target: ConnectionTarget,
  options: WaitOptions,
): Promise<ServerFacts> {
  const { waitMs, log, signal, onWait } = options
  const where = describeTarget(target)
  const deadline = Date.now() + waitMs
  let nextLog = 0
  const report = (reason: string) => {
    if (Date.now() < nextLog) return
    nextLog = Date.now() + LOG_EVERY_MS
    log.info({ reason }, `waiting for the database at ${where}`)
    onWait?.(`waiting for the database at ${where}: ${reason}`)
  }
  onWait?.(`waiting for the database at ${where}`)
  while (true) {
    const silence = setInterval(report, LOG_EVERY_MS, 'it has not answered yet')
    try {
      const timeoutMs = Math.max(SHORTEST_ATTEMPT_MS, deadline - Date.now())
      return await readServerFacts(target, where, { ...options, timeoutMs })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ServiceError) throw error
      const reason = describeError(error)
      if (Date.now() >= deadline) {
        throw new ServiceError(
          'database_not_reached',
          `could not reach PostgreSQL at ${where}, within ${waitMs / 1000} s: ${reason}; ` +
            'start it, or correct DATABASE_URL, or raise DATABASE_WAIT_SECONDS',
          { cause: error },
        )
      }
      report(reason)
    } finally {
      clearInterval(silence)
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

async function readServerFacts(
  target: ConnectionTarget,
  where: string,
  { purpose, timeoutMs, signal }: WaitOptions & { readonly timeoutMs: number },
): Promise<ServerFacts> {
  const { client, facts } = await openSession(target, {
    applicationName: applicationName(purpose),
    timeoutMs,
    signal,
    assertsSessionPooling: true,
  })
  // Not awaited: a server that hangs would delay the result.
  void client.end()
  assertUsable(facts, where)
  return { serverVersion: facts.version }
}

function assertUsable({ version, major, encoding, ...facts }: SessionFacts, where: string): void {
  if (major < OLDEST_VERSION) {
    throw new ServiceError(
      'database_too_old',
      `PostgreSQL ${OLDEST_VERSION} or later is required; ${where} runs ${version}`,
    )
  }
  if (encoding !== 'UTF8') {
    throw new ServiceError(
      'database_not_utf8',
      `the encoding of the database must be UTF8; that of ${where} is ${encoding}: create a database ` +
        "with ENCODING 'UTF8' (TEMPLATE template0), move the data there, and name it in DATABASE_URL",
    )
  }
  if (facts.isReadOnly) {
    const reason = facts.isStandby
      ? 'it is a standby: name the primary in DATABASE_URL, or all servers with target_session_attrs=read-write'
      : 'default_transaction_read_only is on for it or its user: turn that off'
    throw new ServiceError(
      'database_read_only',
      `the database must be writable; ${where} is read-only: ${reason}`,
    )
  }
}
