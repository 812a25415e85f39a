/** Test databases for Playwright, as a fixture for `test.extend`. */
import {
  databaseFixture as createFixture,
  type DatabaseFixture,
  type FixtureOptions,
} from './fixture.ts'

export type { DatabaseFixture, FixtureOptions } from './fixture.ts'
export type { LeasedDatabase } from './lease.ts'

/** Of a fixture's own: the first one of a run waits for the start of the service. */
const FIXTURE_MS = 180_000

/**
 * A fixture that borrows a database before its first use, and returns it afterwards.
 *
 *     const test = base.extend<object, { database: LeasedDatabase }>({ database: databaseFixture() })
 *     test('…', ({ database }) => connect(database.url))
 */
export function databaseFixture<Per extends 'worker' | 'test' = 'worker'>(
  options: FixtureOptions<Per> = {},
): [DatabaseFixture<Per>[0], { scope: Per; timeout: number }] {
  const [fixture, { scope }] = createFixture(options)
  return [fixture, { scope, timeout: FIXTURE_MS }]
}
