import { randomUUID } from 'node:crypto'
import { insertBatch, insertCommands, type Queryable } from '../../client/client.ts'
import { query } from '../../client/query.ts'
import { type BatchPlan, dealCommands, type Schedule } from './schedule.ts'

/** The rows of one schedule. It has a domain of its own, so schedules share a database. */
export interface World {
  readonly domain: string
  readonly batches: readonly WorldBatch[]
  readonly commands: readonly WorldCommand[]
}

export interface WorldBatch {
  readonly id: string
  readonly plan: BatchPlan
  readonly totalCount: number
  /** Numbers of the commands that are still to come. */
  readonly late: number[]
}

export interface WorldCommand {
  readonly number: number
  readonly id: string
  readonly batch: WorldBatch | null
  /** When its insert was committed: older transactions cannot know it, and leave it alone. */
  insertedAtMs: number
}

/** Inserts the batches and their first commands, each in a transaction of its own. */
export async function createWorld(db: Queryable, schedule: Schedule): Promise<World> {
  const batches = schedule.batches.map((plan) => ({
    id: randomUUID(),
    plan,
    totalCount: Math.max(0, plan.first + plan.late + plan.totalOff),
    late: [] as number[],
  }))
  const commands = dealCommands(schedule).map((batch, number) => ({
    number,
    id: randomUUID(),
    batch: batch === null ? null : (batches[batch] ?? null),
    insertedAtMs: Infinity,
  }))
  const world: World = { domain: `race-${randomUUID()}`, batches, commands }

  const seen = new Map<WorldBatch | null, number>()
  const first: number[] = []
  for (const { batch, number } of commands) {
    const place = seen.get(batch) ?? 0
    seen.set(batch, place + 1)
    if (batch !== null && place >= batch.plan.first) batch.late.push(number)
    else first.push(number)
  }
  for (const { id, totalCount } of batches) {
    await insertBatch(db, { domain: world.domain, batchId: id, totalCount })
  }
  await insertNumbers(db, world, first)
  for (const number of first) markInserted(world, number)
  return world
}

/** Inserts these commands; whoever commits marks them. */
export async function insertNumbers(
  db: Queryable,
  world: World,
  numbers: readonly number[],
): Promise<void> {
  const rows = numbers.flatMap((number) => {
    const command = world.commands[number]
    if (command === undefined) return []
    return [
      {
        domain: world.domain,
        commandId: command.id,
        queueName: `${world.domain}__commands`,
        commandType: 'Race',
        maxAttempts: 3,
        batchId: command.batch?.id ?? null,
      },
    ]
  })
  if (rows.length > 0) await insertCommands(db, rows)
}

export function markInserted(world: World, number: number): void {
  const command = world.commands[number]
  if (command !== undefined) command.insertedAtMs = performance.now()
}

/** Marks commands as adoption leaves them: counted as their status says, whatever that is. */
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
