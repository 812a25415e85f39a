import { randomUUID } from 'node:crypto'
import fc from 'fast-check'

/** What one client does; `lease` picks one of those that are lent, modulo their number. */
export type Step =
  | {
      readonly does: 'lend'
      readonly body: string
      readonly isRight: boolean
      readonly abortMs: number | null
    }
  | { readonly does: 'use' | 'give back' | 'find'; readonly lease: number }
  | {
      readonly does: 'extend'
      readonly lease: number
      readonly body: string
      readonly isRight: boolean
    }
  | { readonly does: 'list' }
  | { readonly does: 'ask wrongly'; readonly method: string; readonly path: string }

const wrongTtl = fc.constantFrom<unknown>(0, -1, 1.5, 86_401, '60', null, true, [], {}, 1e308)

const rightLend = fc
  .record(
    {
      ttlSeconds: fc.integer({ min: 600, max: 86_400 }),
      label: fc.string({ unit: fc.constantFrom(...'abc äß東 \'"\\%{}'), maxLength: 200 }),
      through: fc.constantFrom('2', '000002', '1'),
      // Not long: all databases may be lent to the clients of this test.
      waitMs: fc.constantFrom(0, 20, 1500),
    },
    { requiredKeys: [] },
  )
  .map((body) => ({ body: JSON.stringify({ waitMs: 1500, ...body }), isRight: true }))

const wrongLend = fc
  .oneof(
    fc.record({ ttlSeconds: wrongTtl }).map((body) => JSON.stringify(body)),
    fc
      .record({ waitMs: fc.constantFrom(-1, 600_001, '1', null) })
      .map((body) => JSON.stringify(body)),
    fc
      .record({ label: fc.constantFrom('a\u0000b', '\u001b[31m', 'x'.repeat(201), 7, null) })
      .map((body) => JSON.stringify(body)),
    fc
      .record({ through: fc.constantFrom('', '-1', 'one', '1'.repeat(10), 1) })
      .map((body) => JSON.stringify(body)),
    fc.record({ unknown: fc.jsonValue() }).map((body) => JSON.stringify(body)),
    fc.constantFrom('null', '[]', '1', '"x"', '{', '{"ttlSeconds":', '\u0000'),
  )
  .map((body) => ({ body, isRight: false }))

const extension = fc.oneof(
  fc
    .integer({ min: 600, max: 86_400 })
    .map((ttlSeconds) => ({ body: JSON.stringify({ ttlSeconds }), isRight: true })),
  fc
    .oneof(
      wrongTtl.map((ttlSeconds) => JSON.stringify({ ttlSeconds })),
      fc.constantFrom('', '{}', 'null', '[', '{"ttlSeconds":600,"more":1}'),
    )
    .map((body) => ({ body, isRight: false })),
)

const id = fc.constantFrom(
  'x',
  '%00',
  '..%2f..',
  "'; drop",
  'ä',
  '0'.repeat(500),
  randomUUID(),
  randomUUID().toUpperCase(),
)

/** Right and wrong steps, the usual ones more often. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.oneof({ weight: 4, arbitrary: rightLend }, wrongLend),
        fc.option(fc.integer({ min: 0, max: 30 }), { freq: 4 }),
      )
      .map(([lend, abortMs]) => ({ does: 'lend' as const, ...lend, abortMs })),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constantFrom('use', 'give back', 'find'),
      lease: fc.nat(),
    }) as fc.Arbitrary<Step>,
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(extension, fc.nat())
      .map(([one, lease]) => ({ does: 'extend' as const, ...one, lease })),
  },
  { weight: 1, arbitrary: fc.constant({ does: 'list' as const }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom('GET', 'DELETE', 'PUT', 'POST', 'PATCH', 'HEAD'),
        id,
        fc.constantFrom('', '/expiry', '/x'),
      )
      .map(([method, one, rest]) => ({
        does: 'ask wrongly' as const,
        method,
        path: `/databases/${encodeURI(one)}${rest}`,
      })),
  },
)

/** One of each kind: what few random steps do is done at least once. `max` databases can be lent. */
export function listUsualSteps(max: number): Step[] {
  const lend = (body: object, isRight = true): Step => ({
    ...{ does: 'lend', body: JSON.stringify(body), isRight, abortMs: null },
  })
  return [
    ...Array.from({ length: max }, () => lend({ waitMs: 15_000 })),
    lend({ waitMs: 0 }),
    lend({ ttlSeconds: 0 }, false),
    { does: 'extend', lease: 0, body: '{"ttlSeconds":600}', isRight: true },
    { does: 'extend', lease: 0, body: '{"ttlSeconds":0}', isRight: false },
    { does: 'find', lease: 0 },
    { does: 'use', lease: 0 },
    { does: 'give back', lease: 0 },
  ]
}
