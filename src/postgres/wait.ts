import { Socket } from 'node:net'
import { addAbortSignal } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { ErrorCode } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { applicationName } from './application-name.ts'
import { describeError, isPasswordExchangeFailed, sqlstateOf } from './errors.ts'
import { createConnectionConfig } from './pool.ts'
import { SQLSTATE } from './sqlstate.ts'

export interface WaitOptions {
  /** How long to try before giving up. */
  readonly waitMs: number
  /** What the session is for, as pg_stat_activity shows it. */
  readonly purpose: string
  readonly log: Log
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** Receives what the wait is for, at the start and then with each log line. */
  readonly onWait?: (detail: string) => void
}

/** What a usable server reports about itself. */
export interface ServerFacts {
  /** As `show server_version` prints it: `18.4`. */
  readonly serverVersion: string
}

const RETRY_MS = 200
const LOG_EVERY_MS = 1000
/** Limits of one attempt, whether less or more time is left. */
const SHORTEST_ATTEMPT_MS = 1000
const LONGEST_ATTEMPT_MS = 5000
const OLDEST_VERSION = 15

/** Waiting does not help against these. Any other error may come from a server that is starting. */
const LOGIN_ERRORS: Readonly<Record<string, { code: ErrorCode; remedy: string }>> = {
  [SQLSTATE.invalidPassword]: {
    code: 'database_password_wrong',
    remedy: 'check user and password in DATABASE_URL',
  },
  [SQLSTATE.invalidAuthorization]: {
    code: 'database_login_refused',
    remedy: 'check the user in DATABASE_URL and pg_hba.conf',
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

/**
 * Waits until the database accepts connections and can be written to. Retries an unreachable server
 * until `waitMs` have passed; a server that rejects the login or cannot be used is an error at once.
 */
export async function waitForDatabase(url: string, options: WaitOptions): Promise<ServerFacts> {
  const config = createConnectionConfig(url, { applicationName: applicationName(options.purpose) })
  const where = `${config.host}:${config.port}, database ${config.database}`
  const deadline = Date.now() + options.waitMs
  let nextLog = 0
  const report = (reason: string) => {
    if (Date.now() < nextLog) return
    nextLog = Date.now() + LOG_EVERY_MS
    options.log.info({ reason }, `waiting for the database at ${where}`)
    options.onWait?.(`waiting for the database at ${where}: ${reason}`)
  }
  options.onWait?.(`waiting for the database at ${where}`)
  while (true) {
    const silence = setInterval(report, LOG_EVERY_MS, 'it has not answered yet')
    try {
      const leftMs = deadline - Date.now()
      const timeoutMs = Math.min(LONGEST_ATTEMPT_MS, Math.max(SHORTEST_ATTEMPT_MS, leftMs))
      return await readServerFacts(config, where, { timeoutMs, signal: options.signal })
    } catch (error) {
      options.signal.throwIfAborted()
      if (error instanceof ServiceError) throw error
      const reason = describeError(error)
      if (Date.now() >= deadline) {
        throw new ServiceError(
          'database_not_reached',
          `no usable PostgreSQL at ${where} within ${options.waitMs / 1000} s: ${reason}; ` +
            'start it, or correct DATABASE_URL, or raise DATABASE_WAIT_SECONDS',
          { cause: error },
        )
      }
      report(reason)
    } finally {
      clearInterval(silence)
    }
    await sleep(RETRY_MS, undefined, { signal: options.signal }).catch(() => {})
    options.signal.throwIfAborted()
  }
}

async function readServerFacts(
  config: pg.ClientConfig,
  where: string,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<ServerFacts> {
  const client = new pg.Client({
    ...config,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    stream: () => addAbortSignal(signal, new Socket()),
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string; major: number; readOnly: boolean }>(
      `select current_setting('server_version') as version,
              current_setting('server_version_num')::integer / 10000 as major,
              current_setting('transaction_read_only')::boolean as "readOnly"`,
    )
    const [server] = rows
    if (server === undefined) throw new Error('the server returned no row')
    assertUsable(server, where)
    return { serverVersion: server.version }
  } catch (error) {
    throw loginError(error, where) ?? error
  } finally {
    // Not awaited: a server that hangs would delay the result.
    void client.end().catch(() => {})
  }
}

function assertUsable(
  server: { version: string; major: number; readOnly: boolean },
  where: string,
): void {
  if (server.major < OLDEST_VERSION) {
    throw new ServiceError(
      'database_too_old',
      `PostgreSQL ${OLDEST_VERSION} or later is required; ${where} runs ${server.version}`,
    )
  }
  if (server.readOnly) {
    throw new ServiceError(
      'database_read_only',
      `the database must be writable; ${where} is read-only: it is a standby, or ` +
        'default_transaction_read_only is on; name the primary in DATABASE_URL',
    )
  }
}

/** The error to report for a rejected login; undefined for every other error. */
function loginError(error: unknown, where: string): ServiceError | undefined {
  const sqlstate = isPasswordExchangeFailed(error) ? SQLSTATE.invalidPassword : sqlstateOf(error)
  const known = LOGIN_ERRORS[sqlstate ?? '']
  if (known === undefined) return undefined
  return new ServiceError(
    known.code,
    `${where} rejects the login: ${describeError(error)}; ${known.remedy}`,
    { cause: error },
  )
}
