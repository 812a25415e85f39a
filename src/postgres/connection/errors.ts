import type { ErrorCode } from '../../errors/codes.ts'
import { ServiceError } from '../../errors/service-error.ts'
import { describeError, isPasswordExchangeFailed, sqlstateOf } from '../errors.ts'
import { SQLSTATE } from '../sqlstate.ts'
import { isTlsFailure, tlsRemedy } from './tls.ts'
import type { Address, ConnectionSettings } from './url.ts'

/** Waiting does not help against these. Any other error may come from a server that is starting. */
const LOGIN_ERRORS: Readonly<Record<string, { code: ErrorCode; remedy: string }>> = {
  [SQLSTATE.invalidPassword]: {
    code: 'database_password_wrong',
    remedy: 'check user and password in DATABASE_URL',
  },
  [SQLSTATE.invalidAuthorization]: {
    code: 'database_login_refused',
    remedy: 'check the user and sslmode in DATABASE_URL, and pg_hba.conf',
  },
  [SQLSTATE.invalidCatalogName]: {
    code: 'database_missing',
    remedy: 'create it, or check the name in DATABASE_URL',
  },
  [SQLSTATE.insufficientPrivilege]: {
    code: 'database_connect_denied',
    remedy: 'grant connect on the database to the user',
  },
}

/** The server does not admit this user from here, with TLS or without it. */
export function isLoginRejected(error: unknown): boolean {
  return sqlstateOf(error) === SQLSTATE.invalidAuthorization
}

/** The error for a login or certificate that is rejected; every other error unchanged. */
export function connectionError(
  error: unknown,
  { host, port }: Address,
  { database, tls }: ConnectionSettings,
): unknown {
  if (error instanceof ServiceError) return error
  if (isTlsFailure(error)) {
    return new ServiceError(
      'database_tls_failed',
      `sslmode=${tls.mode} rejects the connection to ${host}:${port}: ${describeError(error)}; ${tlsRemedy(error, tls)}`,
      { cause: error },
    )
  }
  const sqlstate = isPasswordExchangeFailed(error) ? SQLSTATE.invalidPassword : sqlstateOf(error)
  const known = LOGIN_ERRORS[sqlstate ?? '']
  if (known === undefined) return error
  return new ServiceError(
    known.code,
    `login to database ${database} at ${host}:${port} was rejected: ${describeError(error)}; ${known.remedy}`,
    { cause: error },
  )
}

/** Whether the server rejects these credentials; trying again soon only fills its log. */
export function isCredentialsRejected(error: unknown): boolean {
  return (
    error instanceof ServiceError &&
    (error.code === 'database_password_wrong' || error.code === 'database_login_refused')
  )
}
