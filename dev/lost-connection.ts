import { ServiceError } from '../src/errors/service-error.ts'
import {
  describeError,
  isConnectionLost,
  isConnectionRefusedForNow,
  sqlstateOf,
} from '../src/postgres/errors.ts'

/** Says in one line that the database went away; undefined for any other error. */
export function describeLostConnection(error: unknown): ServiceError | undefined {
  if (!isConnectionLost(error) && !isConnectionRefusedForNow(error)) return undefined
  return lostError(describeError(error))
}

/** The same for what graphile-migrate's command printed of an error. */
export function findLostConnection(output: string): ServiceError | undefined {
  const found = [...output.matchAll(/^(?:\w*)error: (.*)$/gim)].map(([, message]) => message ?? '')
  const codes = [...output.matchAll(/^\s*code: '(\w+)',?$/gm)].map(([, code]) => code)
  const message = found.at(-1) ?? ''
  const isLost = [undefined, ...codes].some((code) => {
    const error = Object.assign(new Error(message), { code })
    return isConnectionLost(error) || isConnectionRefusedForNow(error)
  })
  return isLost ? lostError(message) : undefined
}

/** What an error that nothing has foreseen is to people: never the driver's object. */
export function describeUnforeseen(error: unknown): string {
  if (sqlstateOf(error) !== undefined) return `PostgreSQL's error: ${describeError(error)}`
  return error instanceof Error ? (error.stack ?? error.message) : describeError(error)
}

function lostError(reason: string): ServiceError {
  return new ServiceError(
    'database_lost',
    `the connection to the database was lost: ${reason}; run this again when the database is up`,
  )
}
