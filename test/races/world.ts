import { randomUUID } from 'node:crypto'
import { type CommandStatus, insertCommands, type Queryable } from '../../client/client.ts'
import { query } from '../../client/query.ts'
import { count } from './model.ts'
import { type BatchPlan, dealCommands, type Schedule } from './schedule.ts'

/** The rows of one schedule. Each schedule has its own domain, so schedules share a database. */
export interface World {
  readonly domain: string
  readonly batches: readonly WorldBatch[]
  readonly commands: readonly WorldCommand[]
}

export interface WorldBatch {
  readonly id: string
  readonly plan: BatchPlan
  readonly totalCount: number
  /** Numbers of the commands that are still to be inserted. */
  readonly late: number[]
  /** Ids of its processes. */
  readonly processes: readonly string[]
}

export interface WorldCommand {
  readonly number: number
  readonly id: string
  readonly batch: WorldBatch | null
  /** The status with which it is inserted, or that it has before the sessions begin. */
  readonly initial: CommandStatus
  /** Its process, if its batch is one of processes. */
  readonly correlationId: string | null
  /** When its insert was committed: older transactions cannot know it, and leave it alone. */
  insertedAtMs: number
}

/** Inserts the batches, processes and first commands, each in a transaction of its own. */
export async function createWorld(db: Queryable, schedule: Schedule): Promise<World> {
  const batches = schedule.batches.map((plan) => {
    const announced = plan.type === 'PROCESS' ? plan.processes : plan.first + plan.late
    return {
      id: randomUUID(),
      plan,
      totalCount: Math.max(0, announced + plan.totalOff),
      late: [] as number[],
      processes: Array.from({ length: plan.processes }, () => randomUUID()),
    }
  })
  const seen = new Map<WorldBatch, number>()
  const first: number[] = []
  const finished: number[] = []
  const commands = dealCommands(schedule).map((batchNumber, number): WorldCommand => {
    const batch = batchNumber === null ? null : (batches[batchNumber] ?? null)
    const place = batch === null ? 0 : (seen.get(batch) ?? 0)
    if (batch !== null) seen.set(batch, place + 1)
    const isLate = batch !== null && place >= batch.plan.first
    const isFinished = batch !== null && place < batch.plan.finished
    if (isLate) batch.late.push(number)
    else first.push(number)
    if (isFinished) finished.push(number)
    const copied = isLate ? batch.plan.copies[place - batch.plan.first] : undefined
    return {
      number,
      id: randomUUID(),
      batch,
      initial: copied ?? (isFinished ? 'COMPLETED' : 'PENDING'),
      correlationId: batch?.processes[place % batch.processes.length] ?? null,
      insertedAtMs: Infinity,
    }
  })
  const world: World = { domain: `race-${randomUUID()}`, batches, commands }

  for (const batch of batches) await insertBatch(db, world, batch)
  await insertNumbers(db, world, first)
  await finishNumbers(db, world, finished)
  for (const number of first) markInserted(world, number)
  return world
}

/** A copy brings the counts of the commands that are copied after it. */
async function insertBatch(db: Queryable, world: World, batch: WorldBatch): Promise<void> {
  const { plan } = batch
  const held = count(plan.copies.slice(0, plan.held))
  const isCopy = plan.copies.length > 0
  await query(
    db,
    `insert into commandbus.batch
       (domain, batch_id, batch_type, total_count, status, started_at,
        completed_count, canceled_count, failed_count, in_troubleshooting_count)
     values ($1::text, $2::uuid, $3::text, $4::int, $5::text,
             case $5::text when 'IN_PROGRESS' then now() end, $6::int, $7::int, $8::int, $9::int)`,
    [
      world.domain,
      batch.id,
      plan.type,
      batch.totalCount,
      isCopy ? 'IN_PROGRESS' : 'PENDING',
      held.completed,
      held.canceled,
      held.failed,
      held.inTroubleshooting,
    ],
  )
  await query(
    db,
    `insert into commandbus.process (domain, process_id, process_type, batch_id)
     select $1::text, process_id, 'Race', $2::uuid from unnest($3::uuid[]) as process_id`,
    [world.domain, batch.id, [...batch.processes]],
  )
}

/** Inserts these commands; the session marks them as inserted once it has committed. */
export async function insertNumbers(
  db: Queryable,
  world: World,
  numbers: readonly number[],
): Promise<void> {
  const rows = numbers.flatMap((number) => {
    const command = world.commands[number]
    if (command === undefined) return []
    const isCopy = (command.batch?.plan.copies.length ?? 0) > 0
    return [
      {
        domain: world.domain,
        commandId: command.id,
        queueName: `${world.domain}__commands`,
        commandType: 'Race',
        maxAttempts: 3,
        status: isCopy ? command.initial : ('PENDING' as const),
        correlationId: command.correlationId,
        batchId: command.batch?.id ?? null,
      },
    ]
  })
  if (rows.length > 0) await insertCommands(db, rows)
}

async function finishNumbers(db: Queryable, world: World, numbers: number[]): Promise<void> {
  if (numbers.length === 0) return
  await query(
    db,
    `select commandbus.sp_finish_command($1::text, id, 'COMPLETED', 'COMPLETED')
       from unnest($2::uuid[]) as id`,
    [world.domain, numbers.map((number) => world.commands[number]?.id)],
  )
}

export function markInserted(world: World, number: number): void {
  const command = world.commands[number]
  if (command !== undefined) command.insertedAtMs = performance.now()
}

/** Marks commands as adoption does: counted as what their status says. */
export async function adoptBatches(db: Queryable, world: World): Promise<void> {
  for (const { id, plan, totalCount } of world.batches) {
    const isCounted = !plan.byHand && plan.first + plan.late <= totalCount
    if (!plan.adopted || !isCounted) continue
    await query(
      db,
      `update commandbus.command set counted_as = 'AS_STATUS'
        where domain = $1::text and batch_id = $2::uuid`,
      [world.domain, id],
    )
  }
}
