import { SQLSTATE } from './sqlstate.ts'

/** What an error of PostgreSQL's holds, of what the service reads. */
export interface DatabaseError {
  /** SQLSTATE; or the system's error name (`ECONNRESET`); undefined where the driver gave up. */
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly message: string
}

/** The SQLSTATE of an error from PostgreSQL; undefined for every other error. */
export function sqlstateOf(error: unknown): string | undefined {
  const code = (error as Partial<DatabaseError> | undefined)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !isSystemErrorName(code)
    ? code
    : undefined
}

/**
 * The session is gone, whatever ended it: the network, the server going down, or an administrator.
 * Class 53 (a full disk, too many connections) is not a lost connection: the session that reports
 * it lives on.
 */
export function isConnectionLost(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  if (sqlstate !== undefined) return /^(08|57P)/.test(sqlstate)
  const { code, message = '' } = (error ?? {}) as Partial<DatabaseError>
  if (typeof code === 'string') return isSystemErrorName(code)
  // pg's own words for a connection that broke or that does not answer; they carry no code.
  return /^(Connection terminated|timeout exceeded|timeout expired|Query read timeout|Client has encountered a connection error|Client was closed)/.test(
    message,
  )
}

/** The server accepts no connection at the moment: too many of them, starting or stopping. */
export function isConnectionRefusedForNow(error: unknown): boolean {
  const sqlstate = sqlstateOf(error) ?? ''
  return (
    sqlstate === SQLSTATE.tooManyConnections ||
    sqlstate === SQLSTATE.cannotConnectNow ||
    sqlstate.startsWith('08')
  )
}

/** The server has run out of something: disk, memory, connections (class 53). */
export function isOutOfResources(error: unknown): boolean {
  return sqlstateOf(error)?.startsWith('53') ?? false
}

/** A lock was not available in time, or the session was chosen as a deadlock victim. */
export function isBlocked(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return sqlstate === SQLSTATE.lockNotAvailable || sqlstate === SQLSTATE.deadlockDetected
}

export function isInsufficientPrivilege(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.insufficientPrivilege
}

/** A constraint rejects a row (class 23). */
export function isConstraintViolation(error: unknown): boolean {
  return sqlstateOf(error)?.startsWith('23') ?? false
}

/**
 * The message of any error, with its code where the message lacks it. Node.js wraps one refusal for
 * each address of a host name in an error without a message: those are joined.
 */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describeError).join(', ')
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${error.message} (${code})`
}

/** `ECONNRESET`, `EPIPE`, `ENOTFOUND`: five capitals such as `EPIPE` are no SQLSTATE. */
function isSystemErrorName(code: string): boolean {
  return /^E[A-Z]{3,}$/.test(code) || /^EAI_[A-Z]+$/.test(code)
}
