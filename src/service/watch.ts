import type { Database } from '../database/database.ts'
import { createMonitor, type Verdict } from '../database/monitor.ts'
import { findReadOnlyReason, readIdentity } from '../database/state.ts'
import type { Log } from '../logger.ts'
import type { AppliedMigration } from '../migrations/history.ts'
import { findHistoryProblem } from '../migrations/history-check.ts'
import { fingerprintHistory, type HistoryFingerprint } from '../migrations/history-fingerprint.ts'
import { applicationName } from '../postgres/application-name.ts'
import type { Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import type { Readiness } from '../readiness.ts'

export interface WatchOptions {
  readonly database: Pick<Database, 'sessions'>
  readonly readiness: Pick<Readiness, 'current' | 'setDatabaseProblem'>
  readonly log: Log
  /** Aborts when the service begins to stop. */
  readonly stopping: AbortSignal
}

/** Watches the database for as long as the service runs. */
export interface Watch {
  /** Sets the history that the database has from now on, and checks it. */
  expect(applied: readonly AppliedMigration[]): Promise<void>
  /** Watches through this session, which belongs to the watch from now on. */
  adopt(session: SessionClient): void
  /** The session in which it watches, for short statements of others. */
  readonly session: SessionClient | undefined
  /** Stops watching. */
  close(): Promise<void>
}

/** Longer than the check of a database that answers; shorter than the monitor's limit for one that does not. */
const LOCK_TIMEOUT = '400ms'

/**
 * Starts watching: whether the database answers, is writable, is the one that was there first, and has
 * the migrations that this service saw in it.
 */
export function startWatch({ database, readiness, log, stopping }: WatchOptions): Watch {
  const ended = new AbortController()
  let expected: HistoryFingerprint | undefined
  let identity: string | undefined
  let lastHistoryProblem: string | undefined

  async function check(client: Queryable, isNew: boolean): Promise<Verdict> {
    if (isNew) {
      // A session that was adopted still has the name of its first purpose.
      await client.query(
        `set lock_timeout = '${LOCK_TIMEOUT}'; set application_name = '${applicationName('monitor')}'`,
      )
      const found = await readIdentity(client)
      identity ??= found
      if (found !== identity) {
        const problem =
          'another database answers at this address (another system identifier or oid): if that is ' +
          'intended, restart the service'
        return { problem, needsNewSession: true }
      }
    }
    const problem = await findReadOnlyReason(client)
    if (problem !== undefined) return { problem, needsNewSession: true }
    return { problem: await checkHistory(client) }
  }

  async function checkHistory(client: Queryable): Promise<string | undefined> {
    // While this service migrates or rebuilds, the history is on its way.
    if (expected === undefined || isAtWork(readiness)) return undefined
    const before = expected
    const found = await findHistoryProblem(client, before)
    if (expected !== before) return checkHistory(client)
    if (found !== 'locked') lastHistoryProblem = found
    return lastHistoryProblem
  }

  const monitor = createMonitor({
    sessions: database.sessions,
    onChange: readiness.setDatabaseProblem,
    isStarting: () => expected === undefined,
    ...{ check, log, stopping, signal: ended.signal },
  })
  const running = monitor.run()
  return {
    async expect(applied) {
      expected = fingerprintHistory(applied)
      lastHistoryProblem = undefined
      await monitor.recheck()
    },
    adopt: monitor.adopt,
    get session() {
      return monitor.session
    },
    async close() {
      ended.abort()
      await running
    },
  }
}

function isAtWork({ current }: Pick<Readiness, 'current'>): boolean {
  return !current.ready && current.reason !== 'database_unavailable'
}
