import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { applicationName } from './application-name.ts'
import type { SessionClient } from './connection/client.ts'
import {
  type ConnectionTarget,
  describeTarget,
  type OpenedSession,
  openSession,
  type SessionFacts,
  type SessionOptions,
} from './connection/session.ts'
import { describeError } from './errors.ts'

export interface WaitOptions {
  /** How long to try before giving up. */
  readonly waitMs: number
  readonly log: Log
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** Receives what the wait is for, at the start and then with each log line. */
  readonly onWait?: (detail: string) => void
  /** What the error advises; by default, among others, to raise DATABASE_WAIT_SECONDS. */
  readonly remedy?: string
}

/** What a usable server reports about itself. */
export interface ServerFacts {
  /** As `show server_version` prints it: `18.4`. */
  readonly serverVersion: string
}

/** Limits of one attempt to open a session. */
export type SessionLimits = Pick<SessionOptions, 'timeoutMs' | 'signal'>

const REMEDY = 'start it, or correct DATABASE_URL, or raise DATABASE_WAIT_SECONDS'
const RETRY_MS = 200
const LOG_EVERY_MS = 1000
/** Limits of one attempt, whether less or more time is left. */
const SHORTEST_ATTEMPT_MS = 1000
const OLDEST_VERSION = 15

/**
 * Waits until the database accepts connections and can be written to. Retries an unreachable server
 * until `waitMs` have passed; a server that rejects the login or cannot be used is an error at once.
 * `purpose` is what the session is for, as pg_stat_activity shows it.
 */
export async function waitForDatabase(
  target: ConnectionTarget,
  { purpose, ...options }: WaitOptions & { readonly purpose: string },
): Promise<ServerFacts> {
  const open = (limits: SessionLimits) =>
    openSession(target, {
      ...limits,
      applicationName: applicationName(purpose),
      assertsSessionPooling: true,
    })
  const { client, ...facts } = await waitForSession(target, { ...options, open })
  // Not awaited: a server that hangs would delay the result.
  void client.end()
  return facts
}

/** Waits as `waitForDatabase` does, and returns the session that `open` has opened. */
export async function waitForSession(
  target: ConnectionTarget,
  options: WaitOptions & { readonly open: (limits: SessionLimits) => Promise<OpenedSession> },
): Promise<ServerFacts & { readonly client: SessionClient }> {
  const { waitMs, log, signal, onWait, open, remedy = REMEDY } = options
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
      const { client, facts } = await open({ timeoutMs, signal })
      try {
        assertUsable(facts, where)
      } catch (error) {
        void client.end()
        throw error
      }
      return { serverVersion: facts.version, client }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ServiceError) throw error
      const reason = describeError(error)
      if (Date.now() >= deadline) {
        throw new ServiceError(
          'database_not_reached',
          `could not reach PostgreSQL at ${where}, within ${waitMs / 1000} s: ${reason}; ${remedy}`,
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
