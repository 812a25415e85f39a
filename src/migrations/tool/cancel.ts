import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../logger.ts'
import type { Queryable } from '../../postgres/client.ts'

const TERMINATE_AFTER_MS = 1000

/**
 * Cancels what the sessions of this application name are running, and waits until they have ended.
 * Sessions that ignore the cancel, such as a commit that waits for a standby, are terminated.
 */
export async function cancelSessions(
  client: Queryable,
  applicationName: string,
  log: Log,
): Promise<void> {
  const terminateAt = performance.now() + TERMINATE_AFTER_MS
  try {
    while (true) {
      const end = performance.now() < terminateAt ? 'pg_cancel_backend' : 'pg_terminate_backend'
      const { rowCount } = await client.query(
        `select pg_catalog.${end}(pid)
           from pg_catalog.pg_stat_activity
          where application_name = $1 and datname = pg_catalog.current_database()`,
        [applicationName],
      )
      if (rowCount === 0) return
      await sleep(20)
    }
  } catch (error) {
    log.warn({ err: error }, 'could not cancel the migration, because a query failed')
  }
}
