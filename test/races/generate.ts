import fc from 'fast-check'
import type { CommandStatus } from '../../client/client.ts'
import {
  type BatchPlan,
  fitSteps,
  keepOrder,
  mapSteps,
  plainBatch,
  type Schedule,
  type SessionPlan,
} from './schedule.ts'
import {
  copier,
  finisher,
  list,
  oneOf,
  processManager,
  receiver,
  refresher,
  session,
  twin,
} from './steps.ts'

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
    .map((schedule) => mapSteps(schedule, fitSteps(schedule)))
    .map((schedule) => (schedule.strict ? mapSteps(schedule, keepOrder(schedule)) : schedule))
}

function batchOf(
  parts: {
    [Key in keyof BatchPlan]?: fc.Arbitrary<BatchPlan[Key]>
  },
): fc.Arbitrary<BatchPlan> {
  return fc
    .record(parts as Record<string, fc.Arbitrary<unknown>>)
    .map((plan) => ({ ...plainBatch, ...plan }))
}

/** Batches of 1 to 50 commands, sometimes of none, a few at a time. */
const small = scheduleOf({
  batch: batchOf({
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

/** Batches of 1,000 commands, whose row is exact, and of 1,500, whose row may lag. */
const large = scheduleOf({
  batch: batchOf({
    first: oneOf([1, 1_000], [3, 1_500]),
    late: oneOf([3, 0], [1, 40]),
    totalOff: oneOf([4, 0], [1, 20], [1, -20]),
  }),
  batches: 2,
})

/** Many batches that start at the same time, by receivers that take several of them in turn. */
const start = scheduleOf({
  batch: batchOf({ first: fc.integer({ min: 2, max: 12 }) }),
  batches: 8,
  session: receiver,
  strict: fc.constant(true),
})

/** One or two commands, on which all sessions work. */
const twins = scheduleOf({
  batch: batchOf({ first: fc.integer({ min: 1, max: 2 }) }),
  batches: 1,
  session: twin,
  strict: fc.constant(false),
})

/** Batches that are copied from another database, their commands in any status. */
const copies = scheduleOf({
  batch: fc
    .record({
      first: fc.integer({ min: 0, max: 2 }),
      copies: list(
        oneOf<CommandStatus>(
          [3, 'COMPLETED'],
          [1, 'CANCELED'],
          [1, 'FAILED'],
          [1, 'IN_TROUBLESHOOTING_QUEUE'],
          [1, 'PENDING'],
        ),
        2,
        8,
      ),
      held: fc.nat(),
    })
    .map(({ first, copies, held }) => ({
      ...plainBatch,
      first,
      copies,
      late: copies.length,
      held: held % copies.length,
    })),
  batches: 8,
  session: copier,
  strict: fc.constant(false),
})

/** A batch with counter rows and few commands left, and more commands than it announced. */
const places = scheduleOf({
  batch: fc
    .record({ left: fc.integer({ min: 2, max: 30 }), extra: fc.integer({ min: 1, max: 30 }) })
    .map(({ left, extra }) => ({
      ...plainBatch,
      first: 1_001,
      finished: 1_001 - left,
      late: extra,
      totalOff: -extra,
    })),
  batches: 1,
  session: finisher,
  strict: fc.boolean(),
})

/** A batch with counter rows and 200 commands left, refreshed while they are finished. */
const refreshes = scheduleOf({
  batch: batchOf({ first: fc.constant(1_001), finished: fc.constant(801) }),
  batches: 1,
  session: refresher,
  strict: fc.constant(true),
})

/** Batches of processes, refreshed while processes and their commands move. */
const processes = scheduleOf({
  batch: fc.oneof(
    {
      weight: 3,
      arbitrary: batchOf({
        type: fc.constant('PROCESS'),
        first: fc.integer({ min: 0, max: 6 }),
        processes: fc.integer({ min: 1, max: 6 }),
        totalOff: oneOf([4, 0], [1, 1], [1, -1]),
      }),
    },
    { weight: 1, arbitrary: batchOf({ first: fc.integer({ min: 1, max: 5 }) }) },
  ),
  batches: 2,
  session: processManager,
})

export const kinds = {
  small,
  large,
  start,
  twins,
  copies,
  places,
  refreshes,
  processes,
} as const
export type Kind = keyof typeof kinds

/** Of twenty seeds, three are of the kinds with counter rows, which take longest. */
export function kindOf(seed: number): Kind {
  if (seed % 20 === 19) return 'large'
  if (seed % 20 === 9) return 'places'
  if (seed % 20 === 15) return 'refreshes'
  if (seed % 6 === 3) return 'start'
  if (seed % 10 === 4) return 'twins'
  if (seed % 10 === 6) return 'copies'
  return seed % 10 === 8 ? 'processes' : 'small'
}

/** The schedule of a seed: of the kind that the seed selects, unless another is given. */
export function generate(seed: number, kind: Kind = kindOf(seed)): Schedule {
  const [schedule] = fc.sample<Schedule>(kinds[kind], { seed, numRuns: 1 })
  if (schedule === undefined) throw new Error(`no schedule for seed ${seed}`)
  return schedule
}
