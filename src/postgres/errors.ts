import { SQLSTATE } from './sqlstate.ts'

/** The parts of an error from PostgreSQL or its driver that the service reads. */
export interface DatabaseError {
  /** A SQLSTATE, or a system error name such as `ECONNRESET`; the driver's own errors have none. */
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  /** Of a violated constraint. */
  readonly schema?: string
  readonly table?: string
  readonly constraint?: string
  readonly message: string
}

/** What Node.js reports when a connection cannot be made or breaks. */
const NETWORK_ERRORS: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'ENOANSWER',
  'ENOHOST',
  'ENOTCONN',
  'ENOTWRITABLE',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/**
 * How the driver's own errors about a lost or silent connection begin, which carry no code, and what
 * they mean.
 */
const DRIVER_CONNECTION_ERRORS: readonly (readonly [beginning: string, meaning: string])[] = [
  ['Connection terminated unexpectedly', 'the connection to the database was closed unexpectedly'],
  ['Connection terminated due to connection timeout', 'the database did not answer in time'],
  ['Connection terminated', 'the connection to the database was closed'],
  ['Client has encountered a connection error', 'the connection to the database is lost'],
  ['Client was closed', 'the connection to the database was closed'],
  ['Query read timeout', 'the database did not answer in time'],
  ['timeout exceeded when trying to connect', 'no connection to the database became free in time'],
  ['timeout expired', 'the database did not answer in time'],
]

/** The module's own reasons why there is no session. Their codes survive the way between processes. */
export class ConnectionError extends Error {
  readonly code: 'ENOHOST' | 'ENOTWRITABLE' | 'ENOANSWER'

  constructor(code: ConnectionError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** The SQLSTATE of an error from PostgreSQL; undefined for every other error. */
export function sqlstateOf(error: unknown): string | undefined {
  const code = codeOf(error)
  // `EPIPE` and `EPERM` look like a SQLSTATE; no SQLSTATE of PostgreSQL's begins with E.
  return code !== undefined && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code : undefined
}

/**
 * The session is gone, whatever ended it: the network, the server going down, an administrator, or a
 * time limit. Class 53 (a full disk, too many connections) does not count: the session that reports
 * it lives on.
 */
export function isConnectionLost(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  if (sqlstate !== undefined) {
    return (
      isInClass(sqlstate, '08', '57P') ||
      sqlstate === SQLSTATE.idleInTransactionSessionTimeout ||
      sqlstate === SQLSTATE.transactionTimeout
    )
  }
  const code = codeOf(error)
  if (code !== undefined) return NETWORK_ERRORS.has(code)
  return DRIVER_CONNECTION_ERRORS.some(([beginning]) => messageOf(error).startsWith(beginning))
}

/** A time limit of the session itself ended it: the database is there. */
export function isTimeLimit(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return (
    sqlstate === SQLSTATE.idleInTransactionSessionTimeout ||
    sqlstate === SQLSTATE.transactionTimeout ||
    sqlstate === SQLSTATE.idleSessionTimeout
  )
}

/** The session was ended by an administrator, or because the server shuts down. */
export function isAdminShutdown(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.adminShutdown
}

/** The server accepts no connection at the moment: it has too many, is starting or is stopping. */
export function isConnectionRefusedForNow(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return (
    sqlstate === SQLSTATE.tooManyConnections ||
    sqlstate === SQLSTATE.cannotConnectNow ||
    isInClass(sqlstate, '08')
  )
}

/** The server, the database or the role has as many connections as it may have. */
export function isTooManyConnections(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.tooManyConnections
}

/** The other end rejects what the protocol would allow, as a pooler does (08P01). */
export function isProtocolViolation(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.protocolViolation
}

/** A value cannot be used as what it is meant to be (class 22). */
export function isWrongValue(error: unknown): boolean {
  return isInClass(sqlstateOf(error), '22')
}

/** The driver gave up the password exchange; mostly because the URL has no password. */
export function isPasswordExchangeFailed(error: unknown): boolean {
  return codeOf(error) === undefined && messageOf(error).startsWith('SASL')
}

/** The server rejects the password. */
export function isPasswordWrong(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.invalidPassword
}

/** The server has run out of disk, memory or connections (class 53). */
export function isOutOfResources(error: unknown): boolean {
  return isInClass(sqlstateOf(error), '53')
}

/** A statement would write, and its transaction is read-only. */
export function isReadOnlySqlstate(sqlstate: unknown): boolean {
  return sqlstate === SQLSTATE.readOnlySqlTransaction
}

/** A lock was not available in time, or the session was chosen as a deadlock victim. */
export function isBlocked(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return sqlstate === SQLSTATE.lockNotAvailable || sqlstate === SQLSTATE.deadlockDetected
}

/** The role lacks a privilege. */
export function isInsufficientPrivilege(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.insufficientPrivilege
}

/**
 * A statement fails only because of the transaction that it shares with others: it has to be its first
 * (25001), or needs a commit before it (55P04), or the transaction holds too many locks (53200).
 */
export function isOnlyInThisTransaction(error: unknown): boolean {
  const sqlstate = sqlstateOf(error)
  return (
    sqlstate === SQLSTATE.activeSqlTransaction ||
    sqlstate === SQLSTATE.unsafeNewEnumValueUsage ||
    isOutOfMemory(error)
  )
}

/** Memory ran out (53200): mostly that for locks, of which a transaction needs one for each table. */
export function isOutOfMemory(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.outOfMemory
}

/** A constraint rejects a row (class 23). */
export function isConstraintViolation(error: unknown): boolean {
  return isInClass(sqlstateOf(error), '23')
}

/** A statement names what does not exist or is not allowed (class 42); so does a generated one that is stale. */
export function isSyntaxOrAccessError(error: unknown): boolean {
  return sqlstateOf(error)?.startsWith('42') ?? false
}

/**
 * The message of any error, with its code where the message lacks it. For a host name with several
 * addresses Node.js wraps one error per address in an error without a message: those are joined.
 */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describeError).join(', ')
  if (!(error instanceof Error)) return String(error)
  if (error instanceof ConnectionError) return error.message
  const code = codeOf(error)
  if (error.message === '') return code ?? error.name
  const known = DRIVER_CONNECTION_ERRORS.find(([beginning]) => error.message.startsWith(beginning))
  if (known !== undefined && code === undefined) return known[1]
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${error.message} (${code})`
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}

function isInClass(sqlstate: string | undefined, ...beginnings: readonly string[]): boolean {
  return sqlstate !== undefined && beginnings.some((beginning) => sqlstate.startsWith(beginning))
}
