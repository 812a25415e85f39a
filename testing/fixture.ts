import { type LeasedDatabase, type LeaseOptions, leaseDatabase } from './lease.ts'

type Use = (database: LeasedDatabase) => Promise<void>

export interface FixtureOptions<Per extends 'worker' | 'test' = 'worker' | 'test'>
  extends LeaseOptions {
  /** Whether each test gets a database of its own, or all tests of a worker share one. Default: `worker`. */
  readonly per?: Per
}

/** A fixture as Playwright and Vitest both know it: a function that calls `use`, and its scope. */
export type DatabaseFixture<Per extends 'worker' | 'test'> = [
  // biome-ignore lint/complexity/noBannedTypes: the runners' own type for a fixture that needs no other.
  fixture: (context: {}, use: Use) => Promise<void>,
  options: { scope: Per },
]

/**
 * A fixture that borrows a database before its first use, and returns it afterwards.
 *
 *     const test = base.extend({ database: databaseFixture() })
 *     test('…', ({ database }) => connect(database.url))
 */
export function databaseFixture<Per extends 'worker' | 'test' = 'worker'>({
  per,
  ...options
}: FixtureOptions<Per> = {}): DatabaseFixture<Per> {
  return [
    // Both runners read which other fixtures it needs from the text of its parameters.
    // biome-ignore lint/correctness/noEmptyPattern: none.
    async ({}, use) => {
      const database = await leaseDatabase(options)
      try {
        await use(database)
      } finally {
        await database.release()
      }
    },
    { scope: per ?? ('worker' as Per) },
  ]
}
