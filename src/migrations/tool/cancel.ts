import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../logger.ts'
import type { Queryable } from '../../postgres/client.ts'

const TERMINATE_AFTER_MS = 1000

/** Sessions that run what others wrote: statements that may change the application name. */
export interface ToolSessions {
  /** What each session began with. */
  readonly application: string
  /** The backends that are known. */
  readonly pids: ReadonlySet<number>
}

/** Describes one session of the service itself. */
export function describeSession(
  application: string,
  { backendPid }: { readonly backendPid?: number | undefined },
): ToolSessions {
  return { application, pids: new Set(backendPid === undefined ? [] : [backendPid]) }
}

/** The condition that finds their backends in pg_stat_activity, by two parameters. */
export const isToolSession = (application: string, pids: string): string =>
  `(application_name = ${application} or pid = any (${pids}))`

/**
 * Cancels what these sessions are running, and waits until they have ended.
 * Sessions that ignore the cancel, such as a commit that waits for a standby, are terminated.
 */
export async function cancelSessions(
  client: Queryable,
  { application, pids }: ToolSessions,
  log: Log,
): Promise<void> {
  const terminateAt = performance.now() + TERMINATE_AFTER_MS
  try {
    while (true) {
      const end = performance.now() < terminateAt ? 'pg_cancel_backend' : 'pg_terminate_backend'
      const { rowCount } = await client.query(
        `select pg_catalog.${end}(pid)
           from pg_catalog.pg_stat_activity
          where ${isToolSession('$1', '$2')} and datname = pg_catalog.current_database()`,
        [application, [...pids]],
      )
      if (rowCount === 0) return
      await sleep(20)
    }
  } catch (error) {
    log.warn({ err: error }, 'could not cancel the migration, because a query failed')
  }
}
