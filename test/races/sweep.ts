import type { CommandStatus } from '../../client/client.ts'
import { isFinal } from './model.ts'
import type { Move, SessionPlan, Step, TransactionPlan } from './schedule.ts'
import type { World } from './world.ts'

/**
 * Plans how sessions finish what a schedule has left open. Each command goes to two of them, a slow
 * worker and its twin, in random order. The last round leaves nothing open.
 */
export function planSweep(
  world: World,
  statuses: ReadonlyMap<string, CommandStatus>,
  options: { readonly seed: number; readonly sessions: number; readonly isLast: boolean },
): SessionPlan[] {
  const random = createRandom(options.seed)
  const work: TransactionPlan[][] = []
  world.batches.forEach((batch, number) => {
    const count = batch.late.length
    const isDue = batch.plan.copies.length > 0 ? options.isLast : random() < 0.7
    if (count > 0 && isDue) work.push([alone({ do: 'insert', batch: number, count })])
  })
  for (const { id, insertedAtMs, number } of world.commands) {
    const status = statuses.get(id)
    if (status === undefined || insertedAtMs === Infinity || isFinal(status)) continue
    for (let twin = 0; twin < 2; twin++) {
      work.push(endCommand(number, status, random, options.isLast).map(alone))
    }
  }
  shuffle(work, random)
  return Array.from({ length: options.sessions }, (_, session) => ({
    isolation: random() < 0.25 ? 'repeatable read' : 'read committed',
    transactions: work.filter((_, place) => place % options.sessions === session).flat(),
  }))
}

function endCommand(
  command: number,
  status: CommandStatus,
  random: () => number,
  isLast: boolean,
): Step[] {
  if (status === 'IN_TROUBLESHOOTING_QUEUE') {
    const move = pick<Move>(random, [
      'COMPLETED',
      'CANCELED',
      'COMPLETED',
      isLast ? 'COMPLETED' : 'PENDING',
    ])
    return [{ do: 'operate', command, move, blind: random() < 0.5 }]
  }
  const end = pick<CommandStatus>(random, [
    ...Array<CommandStatus>(16).fill('COMPLETED'),
    'CANCELED',
    'FAILED',
    isLast ? 'COMPLETED' : 'IN_TROUBLESHOOTING_QUEUE',
  ])
  return [
    { do: 'receive', command, as: 'IN_PROGRESS' },
    { do: 'finish', command, status: end },
  ]
}

function alone(step: Step): TransactionPlan {
  return { steps: [step], end: 'commit', pauseMs: 0 }
}

function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T
}

function shuffle(values: unknown[], random: () => number): void {
  for (let place = values.length - 1; place > 0; place--) {
    const other = Math.floor(random() * (place + 1))
    const value = values[place]
    values[place] = values[other]
    values[other] = value
  }
}

/**
 * Ends the processes, each followed by a refresh of its batch, and counts the copies that are not
 * counted yet. No later step refreshes: the batches' rows must be right already.
 */
export function planEnd(world: World, options: { readonly seed: number }): SessionPlan[] {
  const random = createRandom(options.seed)
  const sessions: TransactionPlan[][] = [[], [], []]
  world.batches.forEach(({ plan, processes }, batch) => {
    if (plan.copies.length > 0) sessions[0]?.push(alone({ do: 'settle', batch }))
    processes.forEach((_, process) => {
      const status = pick(random, ['COMPLETED', 'COMPLETED', 'FAILED', 'COMPENSATED', 'WAITING'])
      sessions[process % sessions.length]?.push(
        alone({ do: 'process', batch, process, status }),
        alone({ do: 'refresh', batch }),
      )
    })
  })
  return sessions.map((transactions) => ({ isolation: 'read committed', transactions }))
}

/** A linear congruential generator: the same seed gives the same plan. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
