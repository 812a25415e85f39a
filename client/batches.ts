import { type Camel, callOf, callProcedure, type Queryable, query, toJson } from './query.ts'
import type { BatchRow } from './schema/commandbus.ts'

export type BatchStatus = BatchRow['status']

/** How counters move when they are moved by hand; the finish and tsq functions do it themselves. */
export type CounterUpdate =
  | 'complete'
  | 'failed'
  | 'tsq_move'
  | 'tsq_complete'
  | 'tsq_cancel'
  | 'tsq_retry'

/** What a batch counts: commands, or the processes of the process manager. */
export type BatchType = BatchRow['batch_type']

/** Which batch. Batch ids are unique within their domain. */
export interface BatchKey {
  readonly domain: string
  readonly batchId: string
}

/** A batch to insert. `totalCount` is final: the batch completes when that many have ended. */
export interface NewBatch extends BatchKey {
  readonly totalCount: number
  readonly name?: string | null
  readonly customData?: unknown
  /** COMMAND where it is left out. */
  readonly batchType?: BatchType
}

/** A batch's row. In a running batch of more than 1,000 commands the counts may lag by up to 5 %. */
export type Batch = Camel<Omit<BatchRow, 'counter_rows'>>

/** Inserts a batch; its commands follow, mostly in the same transaction. */
export async function insertBatch(db: Queryable, batch: NewBatch): Promise<void> {
  await query(
    db,
    `insert into commandbus.batch (domain, batch_id, name, custom_data, total_count, batch_type)
     values ($1::text, $2::uuid, $3::text, $4::jsonb, $5::int, $6::text)`,
    [
      batch.domain,
      batch.batchId,
      batch.name ?? null,
      toJson(batch.customData),
      batch.totalCount,
      batch.batchType ?? 'COMMAND',
    ],
  )
}

/** The batch's row as it is, or null. */
export async function getBatch(db: Queryable, key: BatchKey): Promise<Batch | null> {
  const rows = await query<Batch>(
    db,
    `select domain, batch_id as "batchId", name, custom_data as "customData", status,
            total_count as "totalCount", completed_count as "completedCount",
            canceled_count as "canceledCount", failed_count as "failedCount",
            in_troubleshooting_count as "inTroubleshootingCount", batch_type as "batchType",
            created_at as "createdAt", started_at as "startedAt", completed_at as "completedAt"
       from commandbus.batch
      where domain = $1::text and batch_id = $2::uuid`,
    [key.domain, key.batchId],
  )
  return rows[0] ?? null
}

/** Starts a batch. True exactly once: for the call that takes it from PENDING to IN_PROGRESS. */
export function startBatch(db: Queryable, key: BatchKey): Promise<boolean> {
  return callProcedure(db, 'sp_start_batch', { p_domain: key.domain, p_batch_id: key.batchId })
}

/** Moves a batch's counters by hand, within their bounds. True when this call completed the batch. */
export function updateBatchCounters(
  db: Queryable,
  key: BatchKey,
  update: CounterUpdate,
): Promise<boolean> {
  return callProcedure(db, 'sp_update_batch_counters', {
    p_domain: key.domain,
    p_batch_id: key.batchId,
    p_update_type: update,
  })
}

/** The counts of a batch at one moment. */
export interface BatchStats {
  readonly completedCount: number
  readonly failedCount: number
  readonly canceledCount: number
  readonly inTroubleshootingCount: number
  readonly isComplete: boolean
}

/**
 * Brings a batch's row up to date and returns its counts; null for an unknown batch. A PROCESS batch is
 * counted from its processes; of a COMMAND batch, whose counters are kept as commands finish, what a
 * large one has not yet reported is added.
 */
export async function refreshBatchStats(db: Queryable, key: BatchKey): Promise<BatchStats | null> {
  const { call, values } = callOf('sp_refresh_batch_stats', {
    p_domain: key.domain,
    p_batch_id: key.batchId,
  })
  const rows = await query<BatchStats>(
    db,
    `select completed_count::int as "completedCount", failed_count::int as "failedCount",
            canceled_count::int as "canceledCount",
            in_troubleshooting_count::int as "inTroubleshootingCount",
            is_complete as "isComplete"
       from ${call}`,
    values,
  )
  return rows[0] ?? null
}
