/** Test databases for tap. */
import { programLabel } from './label.ts'
import { type LeasedDatabase, type LeaseOptions, leaseDatabase } from './lease.ts'

/** What is used of a tap test. */
export interface TapTest {
  readonly fullname: string
  teardown(handler: () => Promise<void>): unknown
}

/**
 * Borrows a database for a test and all tests below it, and returns it when they have ended. With the `t` that tap
 * exports it is for the whole file.
 *
 *     const database = await testDatabase(t)
 */
export async function testDatabase(
  t: TapTest,
  options: LeaseOptions = {},
): Promise<Omit<LeasedDatabase, 'release'>> {
  const database = await leaseDatabase({
    label: `${programLabel()}: ${t.fullname}`.slice(0, 200),
    ...options,
  })
  t.teardown(database.release)
  return database
}
