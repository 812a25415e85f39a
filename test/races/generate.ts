import fc from 'fast-check'
import {
  type BatchPlan,
  fitSteps,
  keepOrder,
  mapSteps,
  type Schedule,
  type SessionPlan,
} from './schedule.ts'
import { list, oneOf, receiver, session } from './steps.ts'

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
