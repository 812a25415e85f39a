import { type Camel, type Queryable, query, toJson } from './query.ts'
import type { ProcessRow } from './schema/commandbus.ts'

/** The words that the Python client writes; other clients may add their own. */
export type ProcessStatus =
  | 'PENDING'
  | 'WAITING'
  | 'COMPLETED'
  | 'COMPENSATING'
  | 'COMPENSATED'
  | 'FAILED'
  | 'CANCELED'
  | (string & {})

/** Which process. Process ids are unique within their domain. */
export interface ProcessKey {
  readonly domain: string
  readonly processId: string
}

/** A process to insert; what is left out gets the column's default. */
export interface NewProcess extends ProcessKey {
  readonly processType: string
  readonly status?: ProcessStatus
  readonly currentStep?: string | null
  readonly state?: unknown
  /** Of a batch of type PROCESS. */
  readonly batchId?: string | null
}

/** A process's row. */
export type Process = Omit<Camel<ProcessRow>, 'status'> & { readonly status: ProcessStatus }

/** What changes in a process; what is left out stays as it is. */
export type ProcessChange = ProcessKey &
  Partial<
    Pick<Process, 'status' | 'currentStep' | 'errorCode' | 'errorMessage' | 'state' | 'completedAt'>
  >

/** Inserts a process. */
export async function insertProcess(db: Queryable, process: NewProcess): Promise<void> {
  await query(
    db,
    `insert into commandbus.process
       (domain, process_type, process_id, status, current_step, state, batch_id)
     values ($1::text, $2::text, $3::uuid, $4::text, $5::text, $6::jsonb, $7::uuid)`,
    [
      process.domain,
      process.processType,
      process.processId,
      process.status ?? 'PENDING',
      process.currentStep ?? null,
      toJson(process.state ?? {}),
      process.batchId ?? null,
    ],
  )
}

const ASSIGNMENTS = {
  status: 'status = $::text',
  currentStep: 'current_step = $::text',
  errorCode: 'error_code = $::text',
  errorMessage: 'error_message = $::text',
  state: 'state = $::jsonb',
  completedAt: 'completed_at = $::timestamptz',
} as const

/** Updates a process; false when it does not exist. */
export async function updateProcess(db: Queryable, change: ProcessChange): Promise<boolean> {
  const values: unknown[] = [change.domain, change.processId]
  const assignments = ['updated_at = pg_catalog.now()']
  for (const [name, assignment] of Object.entries(ASSIGNMENTS)) {
    const value = change[name as keyof typeof ASSIGNMENTS]
    if (value === undefined) continue
    values.push(name === 'state' ? toJson(value) : value)
    assignments.push(assignment.replace('$', `$${values.length}`))
  }
  const rows = await query<{ found: number }>(
    db,
    `update commandbus.process
        set ${assignments.join(', ')}
      where domain = $1::text and process_id = $2::uuid
     returning 1 as found`,
    values,
  )
  return rows.length > 0
}

/** The process's row as it is, or null. */
export async function getProcess(db: Queryable, key: ProcessKey): Promise<Process | null> {
  const rows = await query<Process>(
    db,
    `select domain, process_id as "processId", process_type as "processType", status,
            current_step as "currentStep", error_code as "errorCode",
            error_message as "errorMessage", state, created_at as "createdAt",
            updated_at as "updatedAt", completed_at as "completedAt", batch_id as "batchId"
       from commandbus.process
      where domain = $1::text and process_id = $2::uuid`,
    [key.domain, key.processId],
  )
  return rows[0] ?? null
}

/** A command that a process sent. */
export interface NewProcessStep extends ProcessKey {
  readonly stepName: string
  readonly commandId: string
  readonly commandType: string
  readonly commandData?: unknown
  readonly sentAt: Date
}

/** Records that a process sent a command. */
export async function insertProcessStep(db: Queryable, step: NewProcessStep): Promise<void> {
  await query(
    db,
    `insert into commandbus.process_audit
       (domain, process_id, step_name, command_id, command_type, command_data, sent_at)
     values ($1::text, $2::uuid, $3::text, $4::uuid, $5::text, $6::jsonb, $7::timestamptz)`,
    [
      step.domain,
      step.processId,
      step.stepName,
      step.commandId,
      step.commandType,
      toJson(step.commandData),
      step.sentAt,
    ],
  )
}

/** Records the reply to a command that a process sent; false when no such step exists. */
export async function recordProcessReply(
  db: Queryable,
  reply: ProcessKey & {
    readonly commandId: string
    readonly outcome: string
    readonly data?: unknown
    readonly receivedAt: Date
  },
): Promise<boolean> {
  const rows = await query<{ found: number }>(
    db,
    `update commandbus.process_audit
        set reply_outcome = $4::text, reply_data = $5::jsonb, received_at = $6::timestamptz
      where domain = $1::text and process_id = $2::uuid and command_id = $3::uuid
     returning 1 as found`,
    [
      reply.domain,
      reply.processId,
      reply.commandId,
      reply.outcome,
      toJson(reply.data),
      reply.receivedAt,
    ],
  )
  return rows.length > 0
}
