/**
 * A global set-up for Vitest, and for any runner that calls the default export of a module before all tests. It
 * starts the service, unless one is given: in Vitest the start of a fixture counts as the time of a test.
 */
import { readEnvironment } from './environment.ts'
import { acquireSharedService } from './shared-service.ts'

/** Starts the service of the run, which ends with it. */
export default async function setup(): Promise<void> {
  const environment = readEnvironment()
  if (environment.service === undefined) await acquireSharedService(environment)
}
