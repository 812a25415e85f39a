/** Test databases, whatever the runner; there is a module for each of the usual ones beside it. */
export type { ServiceAddress } from './environment.ts'
export { type LeasedDatabase, type LeaseOptions, leaseDatabase } from './lease.ts'
