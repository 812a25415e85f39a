import fc from 'fast-check'
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

export type ReceiveStatus = 'IN_PROGRESS' | 'PENDING' | 'FAILED'
export type Move = 'COMPLETED' | 'CANCELED' | 'PENDING'

const number = fc.nat({ max: 9_999 })

/** Weighted by how often it is met, and by how often it used to go wrong. */
function oneOf<T>(...choices: [weight: number, value: T][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))
}

const receive: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('receive'),
  command: number,
  as: oneOf<ReceiveStatus>([8, 'IN_PROGRESS'], [1, 'PENDING'], [1, 'FAILED']),
})

const finish: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('finish'),
  command: number,
  status: oneOf<CommandStatus>(
    [8, 'COMPLETED'],
    [6, 'IN_TROUBLESHOOTING_QUEUE'],
    [3, 'CANCELED'],
    [1, 'FAILED'],
    [1, 'PENDING'],
    [1, 'IN_PROGRESS'],
  ),
})

const operate: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('operate'),
  command: number,
  move: fc.constantFrom<Move>('COMPLETED', 'CANCELED', 'PENDING'),
  blind: fc.boolean(),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: receive },
  { weight: 10, arbitrary: finish },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail'), command: number }) },
  { weight: 6, arbitrary: operate },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('start'), batch: number }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('insert'),
      batch: number,
      count: fc.integer({ min: 1, max: 10 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('count'),
      batch: number,
      update: fc.constantFrom<CounterUpdate>(
        'complete',
        'tsq_move',
        'tsq_complete',
        'tsq_cancel',
        'tsq_retry',
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('finish unknown'),
      status: fc.constantFrom<CommandStatus>('COMPLETED', 'CANCELED'),
    }),
  },
)

const session: fc.Arbitrary<SessionPlan> = fc.record({
  isolation: oneOf<SessionPlan['isolation']>([3, 'read committed'], [1, 'repeatable read']),
  transactions: list(
    fc.record({
      steps: fc.oneof(
        { weight: 3, arbitrary: list(step, 1, 1) },
        { weight: 1, arbitrary: list(step, 2, 4) },
        { weight: 1, arbitrary: list(receive, 2, 6) },
      ),
      end: oneOf<TransactionPlan['end']>(
        [40, 'commit'],
        [4, 'rollback'],
        [1, 'die'],
        [1, 'die at commit'],
      ),
      pauseMs: oneOf([6, 0], [1, 1], [1, 3]),
    }),
    1,
    16,
  ),
})

/** Begins with what is done to batches that nobody has started. */
const receiver: fc.Arbitrary<SessionPlan> = fc.record({
  isolation: oneOf<SessionPlan['isolation']>([3, 'read committed'], [1, 'repeatable read']),
  transactions: list(
    fc.record({
      steps: list(receive, 4, 8),
      end: oneOf<TransactionPlan['end']>([4, 'commit'], [1, 'rollback']),
      pauseMs: oneOf([2, 0], [1, 1]),
    }),
    1,
    3,
  ),
})

function list<T>(of: fc.Arbitrary<T>, minLength: number, maxLength: number): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength, maxLength, size: 'max' })
}

interface Scale {
  readonly batch: fc.Arbitrary<BatchPlan>
  readonly batches: number
  readonly session?: fc.Arbitrary<SessionPlan>
  readonly strict?: fc.Arbitrary<boolean>
}

function scheduleOf(scale: Scale): fc.Arbitrary<Schedule> {
  return fc
    .record({
      batches: list(scale.batch, 1, scale.batches),
      loose: oneOf([3, 1], [1, 4]),
      sessions: list(scale.session ?? session, 2, 10),
      sweep: fc.record({ seed: fc.nat(), sessions: fc.integer({ min: 2, max: 10 }) }),
      strict: scale.strict ?? oneOf([3, false], [1, true]),
    })
    .map((schedule) => mapSteps(schedule, (steps) => fitSteps(schedule, steps)))
    .map((schedule) => (schedule.strict ? mapSteps(schedule, keepOrder(schedule)) : schedule))
}

/** Batches of 1 to 50 commands (now and then of none), a few at a time. */
export const smallSchedule = scheduleOf({
  batch: fc.record({
    first: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 5 }) },
      { weight: 2, arbitrary: fc.integer({ min: 6, max: 50 }) },
    ),
    late: oneOf([3, 0], [1, 1], [1, 7]),
    totalOff: oneOf([12, 0], [1, 1], [1, 20], [1, -1], [1, -3]),
    byHand: oneOf([9, false], [1, true]),
    adopted: oneOf([4, false], [1, true]),
  }),
  batches: 4,
})

/** Batches of 1,000 commands, the last size whose row is exact, and of 1,500, whose row may lag. */
export const largeSchedule = scheduleOf({
  batch: fc.record({
    first: oneOf([1, 1_000], [3, 1_500]),
    late: oneOf([3, 0], [1, 40]),
    totalOff: oneOf([4, 0], [1, 20], [1, -20]),
    byHand: fc.constant(false),
    adopted: fc.constant(false),
  }),
  batches: 2,
})

/** Many batches that are started all at once, by receivers that take several of them in turn. */
export const startSchedule = scheduleOf({
  batch: fc.record({
    first: fc.integer({ min: 2, max: 12 }),
    late: fc.constant(0),
    totalOff: fc.constant(0),
    byHand: fc.constant(false),
    adopted: fc.constant(false),
  }),
  batches: 8,
  session: receiver,
  strict: fc.constant(true),
})

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

function mapSteps(
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
function fitSteps(schedule: Schedule, steps: readonly Step[]): Step[] {
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
function keepOrder(schedule: Schedule): (steps: readonly Step[]) => Step[] {
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
