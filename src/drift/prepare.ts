import { ensureRecorder, type RecorderProblem } from '../baseline/recorder.ts'
import { SERVICE_LOCK } from '../migrations/service-lock.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/**
 * Creates what records the schema, on a database that was migrated before the service recorded it, and
 * finishes the record of a provisioning that was killed after its last migration. Returns why it cannot.
 */
export async function prepareRecorder(client: Queryable): Promise<RecorderProblem> {
  const problem = await ensureRecorder(client)
  if (problem !== undefined) return problem
  await client.query(`set local lock_timeout = '50ms'; ${FINISH_INTERRUPTED}`)
  return undefined
}

/** Another instance that is migrating holds the lock, and finishes its record itself. */
const FINISH_INTERRUPTED = sql`
  select case when pg_try_advisory_xact_lock(${SERVICE_LOCK.key}) then provisioning.finish_recording() end
    from provisioning.recorded_schema as before
   cross join provisioning.read_history() as history
   where before.moment = 'before'
     and before.last_migration is distinct from history.last_migration`
