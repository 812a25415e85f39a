import { Socket } from 'node:net'
import { addAbortSignal } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { ErrorCode } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { createConnectionConfig } from './pool.ts'

export interface WaitOptions {
  /** How long to try before giving up. */
  readonly waitMs: number
  readonly applicationName: string
  readonly log: Log
  /** Ends the wait; the promise is rejected with the signal's reason. */
  readonly signal: AbortSignal
  /** Told with each log line what is being waited for. */
  readonly onWait?: (detail: string) => void
}

/** What a server says of itself once it can be used. */
export interface ServerFacts {
  /** As `show server_version` gives it: `18.4`. */
  readonly serverVersion: string
}

const RETRY_MS = 200
const LOG_EVERY_MS = 1000
/** One attempt, also where less or more time is left. */
const SHORTEST_TRY_MS = 1000
const LONGEST_TRY_MS = 5000
const OLDEST_VERSION = 15

/** SQLSTATEs that waiting does not mend. Everything else may be a server that is starting. */
const REFUSALS: Readonly<Record<string, { code: ErrorCode; remedy: string }>> = {
  '28P01': { code: 'database_password_wrong', remedy: 'check user and password in DATABASE_URL' },
  '28000': {
    code: 'database_login_refused',
    remedy: 'check the user in DATABASE_URL and pg_hba.conf',
  },
  '3D000': { code: 'database_missing', remedy: 'create it, or check the name in DATABASE_URL' },
  '42501': { code: 'database_connect_denied', remedy: 'grant connect on the database to the user' },
}

/**
 * Waits until the database takes connections and can be written to. A server that is not there yet
 * is tried again until `waitMs` have passed; one that refuses is an error at once.
 */
export async function waitForDatabase(url: string, options: WaitOptions): Promise<ServerFacts> {
  const config = createConnectionConfig(url, options)
  const where = `${config.host}:${config.port}, database ${config.database}`
  const deadline = Date.now() + options.waitMs
  let nextLog = 0
  const tell = (reason: string) => {
    if (Date.now() < nextLog) return
    nextLog = Date.now() + LOG_EVERY_MS
    options.log.info({ reason }, `waiting for the database at ${where}`)
    options.onWait?.(`waiting for the database at ${where}: ${reason}`)
  }
  options.onWait?.(`waiting for the database at ${where}`)
  while (true) {
    const slow = setInterval(tell, LOG_EVERY_MS, 'it has not answered yet')
    try {
      const timeoutMs = Math.min(LONGEST_TRY_MS, Math.max(SHORTEST_TRY_MS, deadline - Date.now()))
      return await askServer(config, where, { timeoutMs, signal: options.signal })
    } catch (error) {
      options.signal.throwIfAborted()
      if (error instanceof ServiceError) throw error
      const reason = describe(error)
      if (Date.now() >= deadline) {
        throw new ServiceError(
          'database_not_reached',
          `no PostgreSQL to be used at ${where} within ${options.waitMs / 1000} s: ${reason}; ` +
            'start it, or correct DATABASE_URL, or raise DATABASE_WAIT_SECONDS',
          { cause: error },
        )
      }
      tell(reason)
    } finally {
      clearInterval(slow)
    }
    await sleep(RETRY_MS, undefined, { signal: options.signal }).catch(() => {})
    options.signal.throwIfAborted()
  }
}

async function askServer(
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
    if (server === undefined) throw new Error('the server gave an empty answer')
    refuseUnusable(server, where)
    return { serverVersion: server.version }
  } catch (error) {
    throw toRefusal(error, where)
  } finally {
    // Not awaited: a server that hangs would hold up the answer.
    void client.end().catch(() => {})
  }
}

function refuseUnusable(
  server: { version: string; major: number; readOnly: boolean },
  where: string,
): void {
  if (server.major < OLDEST_VERSION) {
    throw new ServiceError(
      'database_too_old',
      `PostgreSQL ${OLDEST_VERSION} or later is needed; ${where} runs ${server.version}`,
    )
  }
  if (server.readOnly) {
    throw new ServiceError(
      'database_read_only',
      `a database that can be written to is needed; ${where} is read-only: ` +
        'a standby, or default_transaction_read_only is on; name the primary in DATABASE_URL',
    )
  }
}

function toRefusal(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || error instanceof ServiceError) return error
  const sqlState = error instanceof pg.DatabaseError ? error.code : undefined
  // pg itself gives up when the server wants a password and there is none.
  const noPassword = sqlState === undefined && error.message.startsWith('SASL')
  const refusal = REFUSALS[noPassword ? '28P01' : (sqlState ?? '')]
  if (refusal === undefined) return error
  return new ServiceError(refusal.code, `${where} refuses: ${describe(error)}; ${refusal.remedy}`, {
    cause: error,
  })
}

/** Node.js wraps one refusal for each address of a host name in an error without a message. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ')
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${error.message} (${code})`
}
