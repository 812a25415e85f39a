import type { BatchKey, CommandStatus, Queryable } from '../../client/client.ts'
import { query } from '../../client/query.ts'
import type { Counts } from './model.ts'
import type { World } from './world.ts'

export interface CommandRow {
  readonly commandId: string
  readonly batchId: string | null
  readonly status: CommandStatus
  readonly attempts: number
  readonly errorCode: string | null
  /** The status that the batch's counters hold for it; AS_STATUS: the one that it has. */
  readonly mark: CommandStatus | 'AS_STATUS' | null
}

export interface AuditRow {
  readonly commandId: string
  readonly eventType: string
  /** The number of the call that wrote it. */
  readonly call: number | null
  readonly details: Readonly<Record<string, unknown>> | null
}

export function loadCommands(db: Queryable, world: World): Promise<CommandRow[]> {
  return query<CommandRow>(
    db,
    `select command_id as "commandId", batch_id as "batchId", status, attempts,
            last_error_code as "errorCode", counted_as as mark
       from commandbus.command
      where domain = $1::text`,
    [world.domain],
  )
}

/** Everything that was audited, in the order of writing. */
export function loadTrail(db: Queryable, world: World): Promise<AuditRow[]> {
  return query<AuditRow>(
    db,
    `select command_id as "commandId", event_type as "eventType", details_json as details,
            coalesce(details_json -> 'call', details_json -> 'msg_id')::int as call
       from commandbus.audit
      where domain = $1::text
      order by audit_id`,
    [world.domain],
  )
}

/** The exact figures, as whoever does not trust a large batch's row asks for them. */
export async function loadFigures(db: Queryable, key: BatchKey): Promise<Counts> {
  const [figures] = await query<Counts>(
    db,
    `select completed_count as completed, canceled_count as canceled, failed_count as failed,
            in_troubleshooting_count as "inTroubleshooting"
       from commandbus.batch_progress
      where domain = $1::text and batch_id = $2::uuid`,
    [key.domain, key.batchId],
  )
  if (figures === undefined) throw new Error(`no figures of batch ${key.batchId}`)
  return figures
}

/** A count over a batch's commands. */
export async function loadCounts(db: Queryable, key: BatchKey): Promise<Counts> {
  const [counts] = await query<Counts>(
    db,
    `select count(*) filter (where status = 'COMPLETED')::int as completed,
            count(*) filter (where status = 'CANCELED')::int as canceled,
            count(*) filter (where status = 'FAILED')::int as failed,
            count(*) filter (where status = 'IN_TROUBLESHOOTING_QUEUE')::int as "inTroubleshooting"
       from commandbus.command
      where domain = $1::text and batch_id = $2::uuid`,
    [key.domain, key.batchId],
  )
  if (counts === undefined) throw new Error('a count has no row')
  return counts
}
