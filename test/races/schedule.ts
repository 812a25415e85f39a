import type { CommandStatus, CounterUpdate } from '../../client/client.ts'

/** One run: the batches, and what each session does to them. */
export interface Schedule {
  readonly batches: readonly BatchPlan[]
  /** Commands without a batch. */
  readonly loose: number
  readonly sessions: readonly SessionPlan[]
  /** Afterwards, pairs of workers finish what is still open, so that most batches complete. */
  readonly sweep: { readonly seed: number; readonly sessions: number }
  /** Only transactions that must never deadlock: see `keepOrder`. */
  readonly strict: boolean
}

export interface BatchPlan {
  readonly type: 'COMMAND' | 'PROCESS'
  /** Commands inserted with the batch, and commands inserted while others are received. */
  readonly first: number
  readonly late: number
  /** The difference between total_count and the number of commands (or processes). */
  readonly totalOff: number
  /** Its counters are also moved by hand; then only their bounds are guaranteed. */
  readonly byHand: boolean
  /** Halfway, its commands are marked as adoption marks them. */
  readonly adopted: boolean
  /** How many of the first commands are finished before the sessions begin. */
  readonly finished: number
  /** The batch is a copy from another database: the statuses of its late commands. */
  readonly copies: readonly CommandStatus[]
  /** How many of the copies are included in the counts with which the batch is inserted. */
  readonly held: number
  /** The processes of a PROCESS batch; its commands correlate with them in turn. */
  readonly processes: number
}

export const plainBatch: BatchPlan = {
  type: 'COMMAND',
  first: 0,
  late: 0,
  totalOff: 0,
  byHand: false,
  adopted: false,
  finished: 0,
  copies: [],
  held: 0,
  processes: 0,
}

export interface SessionPlan {
  readonly isolation: 'read committed' | 'repeatable read'
  readonly transactions: readonly TransactionPlan[]
}

export interface TransactionPlan {
  readonly steps: readonly Step[]
  readonly end: 'commit' | 'rollback' | 'die' | 'die at commit'
  /** The pause after each step, while the transaction keeps its locks. */
  readonly pauseMs: number
}

/** A step names a command by its number in `dealCommands`, and a batch by its number. */
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
  | { readonly do: 'settle'; readonly batch: number }
  | { readonly do: 'refresh'; readonly batch: number }
  | {
      readonly do: 'process'
      readonly batch: number
      readonly process: number
      readonly status: string
    }
  | { readonly do: 'finish unknown'; readonly status: CommandStatus }

export type ReceiveStatus = 'IN_PROGRESS' | 'PENDING'
export type Move = 'COMPLETED' | 'CANCELED' | 'PENDING'

/** The batch's number for each command: one command per batch in turn; null for loose ones. */
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

/**
 * Maps the steps' numbers, which were drawn before the batches were known, to commands and batches
 * that exist. Commands that are finished before the sessions begin are left out.
 */
export function fitSteps(schedule: Schedule): (steps: readonly Step[]) => Step[] {
  const places = schedule.batches.map(() => 0)
  const open = dealCommands(schedule).flatMap((batch, command) => {
    if (batch === null) return [command]
    const place = places[batch] ?? 0
    places[batch] = place + 1
    return place < (schedule.batches[batch]?.finished ?? 0) ? [] : [command]
  })
  return (steps) =>
    steps.flatMap((step): Step[] => {
      if ('command' in step) {
        const command = open[step.command % open.length]
        return command === undefined ? [] : [{ ...step, command }]
      }
      return 'batch' in step ? [{ ...step, batch: step.batch % schedule.batches.length }] : [step]
    })
}

/**
 * Keeps only what must never deadlock. A transaction that receives several commands takes them in one
 * order. One that finishes or moves a command does nothing else, and its command is not among those
 * that are received together; every other round of the deal is for either kind, so that both meet in
 * every batch.
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
