import type { BatchKey } from './batches.ts'
import type { BigintInput, CommandKey } from './commands.ts'
import { callProcedure, type Queryable, query } from './query.ts'

/**
 * First half of an operator's move, in one transaction with the second: takes the command out of
 * troubleshooting. PENDING is a retry: attempts start again at 0 and the errors are forgotten, and
 * `msgId` is the message sent for it. False when the command is no longer in troubleshooting:
 * another operator was first, so roll back.
 */
export async function leaveTroubleshooting(
  db: Queryable,
  command: CommandKey & {
    readonly status: 'PENDING' | 'COMPLETED' | 'CANCELED'
    readonly msgId?: BigintInput | null
  },
): Promise<boolean> {
  const rows = await query<{ found: number }>(
    db,
    `update commandbus.command
        set status = $3::text,
            msg_id = coalesce($4::bigint, msg_id),
            attempts = case $3::text when 'PENDING' then 0 else attempts end,
            last_error_type = case $3::text when 'PENDING' then null else last_error_type end,
            last_error_code = case $3::text when 'PENDING' then null else last_error_code end,
            last_error_msg = case $3::text when 'PENDING' then null else last_error_msg end,
            updated_at = pg_catalog.now()
      where domain = $1::text and command_id = $2::uuid and status = 'IN_TROUBLESHOOTING_QUEUE'
     returning 1 as found`,
    [command.domain, command.commandId, command.status, command.msgId?.toString() ?? null],
  )
  return rows.length > 0
}

/**
 * Second half of completing commands by hand: counts for the batch what its commands' rows now say.
 * True when this call completed the batch.
 */
export function tsqComplete(db: Queryable, key: BatchKey): Promise<boolean> {
  return settle(db, 'sp_tsq_complete', key)
}

/** Second half of canceling commands. True when this call completed the batch. */
export function tsqCancel(db: Queryable, key: BatchKey): Promise<boolean> {
  return settle(db, 'sp_tsq_cancel', key)
}

/** Second half of sending commands to the workers again. */
export function tsqRetry(db: Queryable, key: BatchKey): Promise<boolean> {
  return settle(db, 'sp_tsq_retry', key)
}

function settle(
  db: Queryable,
  procedure: 'sp_tsq_complete' | 'sp_tsq_cancel' | 'sp_tsq_retry',
  key: BatchKey,
): Promise<boolean> {
  return callProcedure(db, procedure, { p_domain: key.domain, p_batch_id: key.batchId })
}
