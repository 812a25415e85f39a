/** Test databases, whatever the runner; there is a module for each of the usual ones beside it. */
export type { ServiceAddress } from './environment.ts'
export { TestDatabaseError, type TestDatabaseErrorCode } from './errors.ts'
export { type LeasedDatabase, type LeaseOptions, leaseDatabase } from './lease.ts'
