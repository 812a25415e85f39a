import { ServiceError } from '../errors/service-error.ts'
import { type DatabaseError, sqlstateOf } from './errors.ts'
import { SQLSTATE } from './sqlstate.ts'

/** What to do about each error of class 53, where PostgreSQL's own hint does not say. */
const REMEDIES: Readonly<Record<string, string>> = {
  [SQLSTATE.diskFull]: 'free disk space on the database server',
  [SQLSTATE.outOfMemory]:
    'raise max_locks_per_transaction if it is memory for locks, which "shared memory" is; else give the ' +
    'database server more memory',
  [SQLSTATE.tooManyConnections]:
    'close other connections, or raise max_connections or the connection limit of the role',
  [SQLSTATE.configurationLimitExceeded]: 'raise the limit that the message names',
}

/** The database has run out of something (class 53): the session lives on, and says what is missing. */
export function outOfResourcesError(error: unknown, during: string): ServiceError {
  const { message, detail, hint } = error as DatabaseError
  const sqlstate = sqlstateOf(error)
  const remedy = REMEDIES[sqlstate ?? ''] ?? 'see the log of the database server'
  const report = [`${message} (${sqlstate})`, detail, hint, remedy]
    .filter((part) => part !== undefined && part !== '')
    .map((part) => String(part).replace(/[\s.]+$/, ''))
  return new ServiceError(
    'out_of_resources',
    `the database ran out of resources ${during}: ${report.join('; ')}`,
    { extensions: { sqlstate, postgresMessage: message, hint }, cause: error },
  )
}
