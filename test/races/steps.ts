import fc from 'fast-check'
import type { CommandStatus, CounterUpdate } from '../../client/client.ts'
import type { Move, ReceiveStatus, SessionPlan, Step, TransactionPlan } from './schedule.ts'

// Numbers of commands and batches, mapped to existing ones once the batches are known.
const number = fc.nat({ max: 9_999 })

/** Values with weights: what happens often, and what has gone wrong before, is drawn more often. */
export function oneOf<T>(...choices: [weight: number, value: T][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))
}

function oneStepOf(...choices: [weight: number, step: fc.Arbitrary<Step>][]): fc.Arbitrary<Step> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })))
}

const receive: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('receive'),
  command: number,
  as: oneOf<ReceiveStatus>([8, 'IN_PROGRESS'], [1, 'PENDING']),
})

function finishAs(...statuses: [weight: number, status: CommandStatus][]): fc.Arbitrary<Step> {
  return fc.record({ do: fc.constant('finish'), command: number, status: oneOf(...statuses) })
}

const finish = finishAs(
  [8, 'COMPLETED'],
  [6, 'IN_TROUBLESHOOTING_QUEUE'],
  [3, 'CANCELED'],
  [3, 'FAILED'],
  [1, 'PENDING'],
  [1, 'IN_PROGRESS'],
)

const operate: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('operate'),
  command: number,
  move: fc.constantFrom<Move>('COMPLETED', 'CANCELED', 'PENDING'),
  blind: fc.boolean(),
})

function insertUpTo(max: number): fc.Arbitrary<Step> {
  return fc.record({
    do: fc.constant('insert'),
    batch: number,
    count: fc.integer({ min: 1, max }),
  })
}

const refresh: fc.Arbitrary<Step> = fc.record({ do: fc.constant('refresh'), batch: number })

const step = oneStepOf(
  [8, receive],
  [10, finish],
  [2, fc.record({ do: fc.constant('fail'), command: number })],
  [6, operate],
  [1, fc.record({ do: fc.constant('start'), batch: number })],
  [2, insertUpTo(10)],
  [
    1,
    fc.record({
      do: fc.constant('count'),
      batch: number,
      update: fc.constantFrom<CounterUpdate>(
        'complete',
        'failed',
        'tsq_move',
        'tsq_complete',
        'tsq_cancel',
        'tsq_retry',
      ),
    }),
  ],
  [1, refresh],
  [
    1,
    fc.record({
      do: fc.constant('finish unknown'),
      status: fc.constantFrom<CommandStatus>('COMPLETED', 'CANCELED', 'FAILED'),
    }),
  ],
)

function sessionOf(
  steps: fc.Arbitrary<Step[]>,
  maxTransactions: number,
  pauseMs: fc.Arbitrary<number>,
): fc.Arbitrary<SessionPlan> {
  return fc.record({
    isolation: oneOf<SessionPlan['isolation']>([3, 'read committed'], [1, 'repeatable read']),
    transactions: list(
      fc.record({
        steps,
        end: oneOf<TransactionPlan['end']>(
          [40, 'commit'],
          [4, 'rollback'],
          [1, 'die'],
          [1, 'die at commit'],
        ),
        pauseMs,
      }),
      1,
      maxTransactions,
    ),
  })
}

/** A worker, an operator and a sender in one. */
export const session = sessionOf(
  fc.oneof(
    { weight: 3, arbitrary: list(step, 1, 1) },
    { weight: 1, arbitrary: list(step, 2, 4) },
    { weight: 1, arbitrary: list(receive, 2, 6) },
  ),
  16,
  oneOf([6, 0], [1, 1], [1, 3]),
)

/** Begins with receives of many batches, none of which has started. */
export const receiver: fc.Arbitrary<SessionPlan> = fc.record({
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

/** Repeats what does not end a command, so that one session waits while another changes the row. */
export const twin = sessionOf(
  list(
    oneStepOf(
      [
        4,
        fc.record({
          do: fc.constant('receive'),
          command: number,
          as: fc.constantFrom<ReceiveStatus>('IN_PROGRESS', 'PENDING'),
        }),
      ],
      [
        8,
        finishAs(
          [8, 'IN_PROGRESS'],
          [8, 'PENDING'],
          [6, 'IN_TROUBLESHOOTING_QUEUE'],
          [1, 'COMPLETED'],
        ),
      ],
      [
        5,
        fc.record({
          do: fc.constant('operate'),
          command: number,
          move: fc.constant<Move>('PENDING'),
          blind: fc.boolean(),
        }),
      ],
    ),
    1,
    2,
  ),
  16,
  oneOf([2, 0], [1, 1], [1, 2]),
)

/** Inserts commands that are copied from another database, one or two at a time. */
export const copier = sessionOf(
  list(oneStepOf([6, insertUpTo(1)], [2, insertUpTo(2)], [1, finish], [1, operate]), 1, 2),
  8,
  oneOf([1, 0], [1, 1], [1, 2]),
)

/** Finishes the last commands of an almost complete batch, and more than it announced. */
export const finisher = sessionOf(
  fc.oneof(
    { weight: 3, arbitrary: list(oneStepOf([6, finish], [3, insertUpTo(5)], [4, refresh]), 1, 1) },
    { weight: 1, arbitrary: list(oneStepOf([4, finish], [1, operate]), 2, 2) },
  ),
  16,
  oneOf([1, 0], [1, 1], [1, 2]),
)

/** Works on a large batch and refreshes it meanwhile. */
export const refresher = sessionOf(
  list(oneStepOf([4, finish], [1, operate], [2, refresh]), 1, 1),
  40,
  oneOf([1, 0], [1, 1], [1, 2]),
)

/** A process manager, its commands' workers, and an observer that refreshes. */
export const processManager = sessionOf(
  list(
    oneStepOf(
      [
        6,
        fc.record({
          do: fc.constant('process'),
          batch: number,
          process: number,
          status: oneOf(
            [3, 'WAITING'],
            [3, 'COMPLETED'],
            [1, 'COMPENSATING'],
            [1, 'COMPENSATED'],
            [1, 'FAILED'],
            [1, 'CANCELED'],
            [1, 'PENDING'],
          ),
        }),
      ],
      [6, refresh],
      [2, receive],
      [4, finish],
      [2, operate],
    ),
    1,
    2,
  ),
  12,
  oneOf([3, 0], [1, 1], [1, 2]),
)

/** As long as possible: by default, fast-check draws short lists. */
export function list<T>(
  of: fc.Arbitrary<T>,
  minLength: number,
  maxLength: number,
): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength, maxLength, size: 'max' })
}
