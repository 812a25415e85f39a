import { ServiceError } from '../src/errors/service-error.ts'
import {
  describeError,
  isConnectionLost,
  isConnectionRefusedForNow,
  sqlstateOf,
} from '../src/postgres/errors.ts'

/** Describes in one line that the database went away; undefined for any other error. */
export function describeLostConnection(error: unknown): ServiceError | undefined {
  if (!isConnectionLost(error) && !isConnectionRefusedForNow(error)) return undefined
  return lostError(describeError(error))
}

/** How PostgreSQL and its driver report it, in what graphile-migrate's command prints. */
const REPORTED =
  /(?:terminating connection due to|the database system is|Connection terminated|connect ECONNREFUSED|read ECONNRESET)[^\n{]*/

/** The same for the output of graphile-migrate's command, which wraps the error in other words or prints it as an object. */
export function findLostConnection(output: string): ServiceError | undefined {
  const [said] = REPORTED.exec(output) ?? []
  return said === undefined ? undefined : lostError(said.trim())
}

/** Describes an unexpected error for people: never the driver's object. */
export function describeUnforeseen(error: unknown): string {
  if (sqlstateOf(error) !== undefined) return `PostgreSQL's error: ${describeError(error)}`
  return error instanceof Error ? (error.stack ?? error.message) : describeError(error)
}

function lostError(reason: string): ServiceError {
  return new ServiceError(
    'database_lost',
    `the database went away (${reason}): run this again when it is up`,
  )
}
