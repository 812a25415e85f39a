/** Test databases for Vitest, as a fixture for `test.extend`. */
export { type DatabaseFixture, databaseFixture, type FixtureOptions } from './fixture.ts'
export type { LeasedDatabase } from './lease.ts'
