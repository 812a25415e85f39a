import type { BatchKey, CommandKey, CommandStatus, Queryable } from '../../client/client.ts'
import { query } from '../../client/query.ts'
import type { CommandState, Counts, ProcessState } from './model.ts'
import type { World } from './world.ts'

export interface CommandRow {
  readonly commandId: string
  readonly batchId: string | null
  readonly status: CommandStatus
  readonly attempts: number
  readonly errorCode: string | null
  /** The status for which the batch's counters include it; AS_STATUS: the one that it has. */
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

/** A command's row, as a session that has locked it reads it. */
export async function loadState(
  db: Queryable,
  key: CommandKey,
): Promise<Omit<CommandState, 'finishedAs'>> {
  return one(
    await query<Omit<CommandState, 'finishedAs'>>(
      db,
      `select status, attempts, last_error_code as "errorCode"
         from commandbus.command
        where domain = $1::text and command_id = $2::uuid`,
      [key.domain, key.commandId],
    ),
  )
}

/** The whole audit trail, in the order of writing. */
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

/** The exact counts, even of a large batch. */
export async function loadFigures(db: Queryable, key: BatchKey): Promise<Counts> {
  return one(
    await query<Counts>(
      db,
      `select completed_count as completed, canceled_count as canceled, failed_count as failed,
              in_troubleshooting_count as "inTroubleshooting"
         from commandbus.batch_progress
        where domain = $1::text and batch_id = $2::uuid`,
      [key.domain, key.batchId],
    ),
  )
}

/** What the counter rows have not added to the batch's row. */
export async function loadUnreported(db: Queryable, key: BatchKey): Promise<number> {
  const { unreported } = one(
    await query<{ unreported: number }>(
      db,
      `select coalesce(sum(unreported), 0)::int as unreported
         from commandbus.batch_counter
        where domain = $1::text and batch_id = $2::uuid`,
      [key.domain, key.batchId],
    ),
  )
  return unreported
}

/** A count over a batch's commands. */
export async function loadCounts(db: Queryable, key: BatchKey): Promise<Counts> {
  return one(
    await query<Counts>(
      db,
      `select count(*) filter (where status = 'COMPLETED')::int as completed,
              count(*) filter (where status = 'CANCELED')::int as canceled,
              count(*) filter (where status = 'FAILED')::int as failed,
              count(*) filter (where status = 'IN_TROUBLESHOOTING_QUEUE')::int as "inTroubleshooting"
         from commandbus.command
        where domain = $1::text and batch_id = $2::uuid`,
      [key.domain, key.batchId],
    ),
  )
}

export function loadProcesses(db: Queryable, key: BatchKey): Promise<ProcessState[]> {
  return query<ProcessState>(
    db,
    `select process.status, coalesce(bool_or(command.command_id is not null), false) as "isTroubled"
       from commandbus.process
       left join commandbus.command
         on command.correlation_id = process.process_id
        and command.status = 'IN_TROUBLESHOOTING_QUEUE'
      where process.domain = $1::text and process.batch_id = $2::uuid
      group by process.process_id, process.status`,
    [key.domain, key.batchId],
  )
}

function one<Row>(rows: readonly Row[]): Row {
  const [row] = rows
  if (row === undefined) throw new Error('expected one row, found none')
  return row
}
