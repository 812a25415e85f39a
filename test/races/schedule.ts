import type { CommandStatus, CounterUpdate } from '../../client/client.ts'

/** What one run does: which batches there are, and what each connection does to them. */
export interface Schedule {
  readonly batches: readonly BatchPlan[]
  /** Commands that belong to no batch. */
  readonly loose: number
  readonly sessions: readonly SessionPlan[]
  /** Afterwards twins finish what is left, so that most batches complete; decides who does what. */
  readonly sweep: { readonly seed: number; readonly sessions: number }
  /** Nothing but transactions that must never deadlock: see `keepOrder`. */
  readonly strict: boolean
}

export interface BatchPlan {
  /** Commands inserted with the batch, and those that come while others are received. */
  readonly first: number
  readonly late: number
  /** How far total_count is off the number of commands. */
  readonly totalOff: number
  /** Its counters are also moved by hand: nothing is promised then but their bounds. */
  readonly byHand: boolean
  /** Halfway it is marked as if it had been taken over, as it is, from before this project. */
  readonly adopted: boolean
}

export interface SessionPlan {
  readonly isolation: 'read committed' | 'repeatable read'
  readonly transactions: readonly TransactionPlan[]
}

export interface TransactionPlan {
  readonly steps: readonly Step[]
  readonly end: 'commit' | 'rollback' | 'die' | 'die at commit'
  /** Between the steps, with locks held. */
  readonly pauseMs: number
}

/** Commands by their number in `dealCommands`, batches by theirs. */
export type Step =
  | { readonly do: 'receive'; readonly command: number; readonly as: ReceiveStatus }
  | { readonly do: 'finish'; readonly command: number; readonly status: CommandStatus }
  | { readonly do: 'fail'; readonly command: number }
  | {
      readonly do: 'operate'
      readonly command: number
      readonly move: Move
      readonly blind: boolean
    }
  | { readonly do: 'start'; readonly batch: number }
  | { readonly do: 'insert'; readonly batch: number; readonly count: number }
  | { readonly do: 'count'; readonly batch: number; readonly update: CounterUpdate }
  | { readonly do: 'finish unknown'; readonly status: CommandStatus }

export type ReceiveStatus = 'IN_PROGRESS' | 'PENDING'
export type Move = 'COMPLETED' | 'CANCELED' | 'PENDING'

/** For each command the number of its batch: one of each batch in turn; null for the loose ones. */
export function dealCommands(schedule: Schedule): (number | null)[] {
  const left = schedule.batches.map((batch) => batch.first + batch.late)
  const dealt: (number | null)[] = []
  for (let round = 0; left.some((count) => count > round); round++) {
    left.forEach((count, batch) => {
      if (count > round) dealt.push(batch)
    })
  }
  return [...dealt, ...Array<null>(schedule.loose).fill(null)]
}

/** The same schedule with other steps in its transactions. */
export function mapSteps(
  schedule: Schedule,
  change: (steps: readonly Step[]) => readonly Step[],
): Schedule {
  const sessions = schedule.sessions.map((session) => ({
    ...session,
    transactions: session.transactions.map((transaction) => ({
      ...transaction,
      steps: change(transaction.steps),
    })),
  }))
  return { ...schedule, sessions }
}

/** Numbers were drawn before it was known how many commands and batches there are. */
export function fitSteps(schedule: Schedule, steps: readonly Step[]): Step[] {
  const commands = dealCommands(schedule).length
  return steps.map((step) => {
    if ('command' in step) return { ...step, command: step.command % commands }
    if ('batch' in step) return { ...step, batch: step.batch % schedule.batches.length }
    return step
  })
}

/**
 * Leaves what must never deadlock. A transaction that receives several commands takes them in one
 * order, whichever batches they are of; one that finishes or moves a command does nothing else, and
 * its command is none of those that are received together with others. Every other round of the
 * deal is for the first kind, so that both meet in every batch.
 */
export function keepOrder(schedule: Schedule): (steps: readonly Step[]) => Step[] {
  const batches = schedule.batches.length
  const isShared = (step: Step) => 'command' in step && Math.floor(step.command / batches) % 2 === 0
  return (steps) => {
    const [first] = steps
    if (first === undefined) return []
    if (first.do !== 'receive') return isShared(first) ? [] : [first]
    return steps
      .filter((step) => step.do === 'receive' && (steps.length === 1 || isShared(step)))
      .toSorted((a, b) => commandOf(a) - commandOf(b))
  }
}

function commandOf(step: Step): number {
  return 'command' in step ? step.command : -1
}
