import { type Camel, callOf, callProcedure, type Queryable, query, toJson } from './query.ts'
import type { CommandInsert, CommandRow } from './schema/commandbus.ts'

export type CommandStatus = CommandRow['status']

/**
 * A PostgreSQL bigint going in. Coming out it is a string: exact at any size, the same whatever type
 * parsers the application has set on `pg`, and JSON can carry it.
 */
export type BigintInput = string | number | bigint

/** Which command. Command ids are unique within their domain. */
export interface CommandKey {
  readonly domain: string
  readonly commandId: string
}

/** A command to insert; what is left out gets the column's default. */
export interface NewCommand extends CommandKey {
  readonly queueName: string
  readonly commandType: string
  readonly maxAttempts: number
  readonly status?: CommandStatus
  readonly msgId?: BigintInput | null
  readonly replyQueue?: string
  readonly correlationId?: string | null
  readonly batchId?: string | null
}

/** A command's row. */
export type Command = Camel<
  Omit<CommandRow, 'queue_name' | 'lease_expires_at' | 'counted_as' | 'finished_as'>
>

const columns = `domain, command_id as "commandId", command_type as "commandType", status,
    attempts, max_attempts as "maxAttempts", msg_id::text as "msgId",
    correlation_id as "correlationId", reply_queue as "replyQueue",
    last_error_type as "lastErrorType", last_error_code as "lastErrorCode",
    last_error_msg as "lastErrorMsg", created_at as "createdAt", updated_at as "updatedAt",
    batch_id as "batchId"`

/** Inserts commands, one or twenty thousand, in one statement; their batch must be there before. */
export async function insertCommands(
  db: Queryable,
  commands: readonly NewCommand[],
): Promise<void> {
  const rows: CommandInsert[] = commands.map((command) => ({
    domain: command.domain,
    queue_name: command.queueName,
    msg_id: command.msgId?.toString() ?? null,
    command_id: command.commandId,
    command_type: command.commandType,
    status: command.status ?? 'PENDING',
    max_attempts: command.maxAttempts,
    reply_queue: command.replyQueue ?? '',
    correlation_id: command.correlationId ?? null,
    batch_id: command.batchId ?? null,
  }))
  await query(
    db,
    `insert into commandbus.command
       (domain, queue_name, msg_id, command_id, command_type, status, max_attempts, reply_queue,
        correlation_id, batch_id)
     select domain, queue_name, msg_id, command_id, command_type, status, max_attempts, reply_queue,
            correlation_id, batch_id
       from pg_catalog.jsonb_to_recordset($1::jsonb) as row
            (domain text, queue_name text, msg_id bigint, command_id uuid, command_type text,
             status text, max_attempts int, reply_queue text, correlation_id uuid, batch_id uuid)`,
    [toJson(rows)],
  )
}

/** The command's row as it is, or null. */
export async function getCommand(db: Queryable, key: CommandKey): Promise<Command | null> {
  const rows = await query<Command>(
    db,
    `select ${columns} from commandbus.command where domain = $1::text and command_id = $2::uuid`,
    [key.domain, key.commandId],
  )
  return rows[0] ?? null
}

/** Commands of a domain, newest first: those of one status (the troubleshooting queue) or batch. */
export function listCommands(
  db: Queryable,
  filter: {
    readonly domain: string
    readonly status?: CommandStatus
    readonly batchId?: string
    readonly limit?: number
    readonly offset?: number
  },
): Promise<Command[]> {
  return query<Command>(
    db,
    `select ${columns}
       from commandbus.command
      where domain = $1::text
        and ($2::text is null or status = $2::text)
        and ($3::uuid is null or batch_id = $3::uuid)
      order by created_at desc, command_id
      limit $4::int offset $5::int`,
    [
      filter.domain,
      filter.status ?? null,
      filter.batchId ?? null,
      filter.limit ?? 50,
      filter.offset ?? 0,
    ],
  )
}

/**
 * Takes a command for processing. Null when there is nothing to do: no such command, or it is
 * completed, canceled, failed or in troubleshooting: archive its message then.
 */
export async function receiveCommand(
  db: Queryable,
  command: CommandKey & {
    readonly newStatus?: 'IN_PROGRESS' | 'PENDING'
    readonly msgId?: BigintInput | null
    readonly maxAttempts?: number | null
  },
): Promise<Command | null> {
  const { call, values } = callOf('sp_receive_command', {
    p_domain: command.domain,
    p_command_id: command.commandId,
    p_new_status: command.newStatus ?? 'IN_PROGRESS',
    p_msg_id: command.msgId?.toString() ?? null,
    p_max_attempts: command.maxAttempts ?? null,
  })
  const rows = await query<Command>(db, `select ${columns} from ${call}`, values)
  return rows[0] ?? null
}

/**
 * Ends a command's processing, and counts it for its batch once. True exactly when this call
 * completed the batch: the caller runs the batch's callback, after its commit.
 */
export function finishCommand(
  db: Queryable,
  command: CommandKey & {
    readonly status: CommandStatus
    readonly eventType: string
    readonly errorType?: string | null
    readonly errorCode?: string | null
    readonly errorMsg?: string | null
    readonly details?: unknown
    /** Ignored by the database, which knows the command's batch; for old callers. */
    readonly batchId?: string | null
  },
): Promise<boolean> {
  return callProcedure(db, 'sp_finish_command', {
    p_domain: command.domain,
    p_command_id: command.commandId,
    p_status: command.status,
    p_event_type: command.eventType,
    p_error_type: command.errorType ?? null,
    p_error_code: command.errorCode ?? null,
    p_error_msg: command.errorMsg ?? null,
    p_details: toJson(command.details),
    p_batch_id: command.batchId ?? null,
  })
}

/** Records a failure that will be retried. False when the command is unknown or already ended. */
export function failCommand(
  db: Queryable,
  command: CommandKey & {
    readonly errorType: string | null
    readonly errorCode: string | null
    readonly errorMsg: string | null
    readonly attempt: number
    readonly maxAttempts: number
    readonly msgId: BigintInput | null
  },
): Promise<boolean> {
  return callProcedure(db, 'sp_fail_command', {
    p_domain: command.domain,
    p_command_id: command.commandId,
    p_error_type: command.errorType,
    p_error_code: command.errorCode,
    p_error_msg: command.errorMsg,
    p_attempt: command.attempt,
    p_max_attempts: command.maxAttempts,
    p_msg_id: command.msgId?.toString() ?? null,
  })
}
