import { ServiceError } from '../errors/service-error.ts'
import {
  describeError,
  isConnectionLost,
  isOutOfResources,
  isReadOnlySqlstate,
  sqlstateOf,
} from '../postgres/errors.ts'
import { outOfResourcesError } from '../postgres/out-of-resources.ts'
import type { LeaseInUse } from './leases.ts'

export interface NoDatabaseFree {
  readonly max: number
  readonly waitMs: number
  readonly leases: readonly LeaseInUse[]
  /** Why no database could be made. */
  readonly problem: unknown
}

const LONGEST_RETRY_SECONDS = 60

/** Nothing became free in time: others have them all, or none could be made. */
export function noDatabaseFreeError(found: NoDatabaseFree): ServiceError {
  const { max, waitMs, leases, problem } = found
  if (problem !== undefined && leases.length < max) return translateError(problem) as ServiceError
  const [first] = leases.toSorted((a, b) => a.expiresAt.getTime() - b.expiresAt.getTime())
  const nextMs = (first?.expiresAt.getTime() ?? Date.now()) - Date.now()
  const retryAfterSeconds = Math.max(1, Math.min(LONGEST_RETRY_SECONDS, Math.ceil(nextMs / 1000)))
  const holders = leases.map(({ label, name }) => label || name).join(', ')
  const reason =
    leases.length < max
      ? 'the next one is still being made'
      : `all ${max} are lent (TEST_DATABASES_MAX), to ${holders}`
  return new ServiceError(
    'no_database_free',
    `no test database became free within ${waitMs} ms: ${reason}; return one, wait longer (waitMs) or raise ` +
      'TEST_DATABASES_MAX',
    { extensions: { lent: leases.map(describeLease), retryAfterSeconds } },
  )
}

function describeLease({ lentAt, expiresAt, ...rest }: LeaseInUse) {
  return { ...rest, lentAt: lentAt.toISOString(), expiresAt: expiresAt.toISOString() }
}

/** No lease has this id, or it has ended. */
export function leaseNotFoundError(id: string): ServiceError {
  return new ServiceError(
    'lease_not_found',
    `no test database is lent as ${id.slice(0, 50)}: it was returned, or its time ran out`,
  )
}

export function clientGoneError(): ServiceError {
  return new ServiceError('client_gone', 'the client disconnected while it waited for a database')
}

/** The answer to an error of the database; others stay what they are. */
export function translateError(error: unknown): unknown {
  if (error instanceof ServiceError) return error
  if (isOutOfResources(error)) return outOfResourcesError(error, 'while making a test database')
  if (isReadOnlySqlstate(sqlstateOf(error))) {
    return new ServiceError(
      'database_read_only',
      `the database is read-only, so no test database can be lent or returned: ${describeError(error)}; make it ` +
        'writable, then try again',
      { cause: error },
    )
  }
  if (isConnectionLost(error)) {
    return new ServiceError(
      'database_lost',
      `the connection to the database was lost: ${describeError(error)}; try again`,
      { cause: error },
    )
  }
  return error
}
