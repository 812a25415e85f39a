import fc from 'fast-check'
import type { CommandStatus, CounterUpdate } from '../../client/client.ts'
import type { Move, ReceiveStatus, SessionPlan, Step, TransactionPlan } from './schedule.ts'

// Of commands and batches; fitted to how many there are once that is known.
const number = fc.nat({ max: 9_999 })

/** Weighted by how often it is met, and by how often it used to go wrong. */
export function oneOf<T>(...choices: [weight: number, value: T][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))
}

const receive: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('receive'),
  command: number,
  as: oneOf<ReceiveStatus>([8, 'IN_PROGRESS'], [1, 'PENDING']),
})

const finish: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('finish'),
  command: number,
  status: oneOf<CommandStatus>(
    [8, 'COMPLETED'],
    [6, 'IN_TROUBLESHOOTING_QUEUE'],
    [3, 'CANCELED'],
    [3, 'FAILED'],
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
        'failed',
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
      status: fc.constantFrom<CommandStatus>('COMPLETED', 'CANCELED', 'FAILED'),
    }),
  },
)

/** A worker, an operator and a sender in one. */
export const session: fc.Arbitrary<SessionPlan> = fc.record({
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

/** As long as it may be: fast-check left to itself draws short lists. */
export function list<T>(
  of: fc.Arbitrary<T>,
  minLength: number,
  maxLength: number,
): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength, maxLength, size: 'max' })
}
