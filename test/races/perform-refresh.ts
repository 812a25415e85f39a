import { getBatch } from '../../client/client.ts'
import { query } from '../../client/query.ts'
import type { Doing } from './doing.ts'
import { loadUnreported } from './load.ts'
import { type Counts, isComplete } from './model.ts'
import type { WorldBatch } from './world.ts'

/** Refreshes a batch, and compares what the function returned with its rules. */
export async function performRefresh(doing: Doing, batch: WorldBatch): Promise<void> {
  const { db, world, history } = doing
  const key = { domain: world.domain, batchId: batch.id }
  const before = await getBatch(db, key)
  history.callCount++
  const rows = await query<Counts & { isComplete: boolean }>(
    db,
    `select completed_count::int as completed, canceled_count::int as canceled,
            failed_count::int as failed, in_troubleshooting_count::int as "inTroubleshooting",
            is_complete as "isComplete"
       from commandbus.sp_refresh_batch_stats($1::text, $2::uuid)`,
    [key.domain, key.batchId],
  )
  const [row] = rows
  if (row === undefined || rows.length > 1) {
    history.problems.push(`a refresh returned ${rows.length} rows`)
    return
  }
  if (row.isComplete !== isComplete(row, batch.totalCount)) {
    history.problems.push(
      `a refresh returned is_complete ${row.isComplete}: ${JSON.stringify(row)}`,
    )
  }
  // This transaction keeps the counter rows locked, so no other session adds to them.
  if (doing.isInTransaction && before?.status === 'IN_PROGRESS') {
    const unreported = await loadUnreported(db, key)
    if (unreported > 0) history.problems.push(`a refresh left ${unreported} unreported`)
  }
}
