import { wrongSettingsError } from '../../errors/wrong-settings.ts'
import { ConnectionError, describeError, isSyntaxOrAccessError, isWrongValue } from '../errors.ts'
import { literal } from '../quote.ts'
import { SessionClient } from './client.ts'
import { connectionError, isLoginRejected } from './errors.ts'
import { assertSessionPooling } from './pooler.ts'
import { openSocket } from './socket.ts'
import { NO_TIME_LIMITS } from './time-limits.ts'
import { isTlsFailure, listTlsAttempts, type TlsUse } from './tls.ts'
import {
  type Address,
  type ConnectionSettings,
  ConnectionUrlError,
  parseConnectionUrl,
} from './url.ts'

/** A connection string, or how to read it again: a password may have changed since the last connection. */
export type ConnectionTarget = string | (() => string)

export interface SessionOptions {
  /** As pg_stat_activity shows it: see applicationName(). */
  readonly applicationName: string
  /** Longest time for each host, and at most what the URL's `connect_timeout` says. Default: that, or 5 s. */
  readonly timeoutMs?: number
  /** Longest time for each query of the session. Default: no limit. */
  readonly queryTimeoutMs?: number
  /** Ends the attempt; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * Settings that the session begins with, as far as the server has them; options of the URL come after
   * them. Default: time limits that the role or the database sets are lifted.
   */
  readonly settings?: Readonly<Record<string, string>>
  /** Receives each client before it logs in; the last one is the one that is returned. */
  readonly onClient?: (client: SessionClient) => void
  /** Rejects a pooler that changes the session between transactions. */
  readonly assertsSessionPooling?: boolean
}

/** What a server says about itself and the database. */
export interface SessionFacts {
  /** As `show server_version` prints it: `18.4`. */
  readonly version: string
  readonly major: number
  readonly encoding: string
  readonly isStandby: boolean
  readonly isReadOnly: boolean
}

export interface OpenedSession {
  readonly client: SessionClient
  readonly facts: SessionFacts
  readonly address: Address
}

const DEFAULT_TIMEOUT_MS = 5000

/**
 * Opens a session on the first host of the URL that can be used. The next host is tried if one does not
 * answer, or cannot be written to where that matters; a rejected login or certificate is an error at once.
 */
export async function openSession(
  target: ConnectionTarget,
  options: SessionOptions,
): Promise<OpenedSession> {
  const settings = readSettings(target)
  const failures: string[] = []
  for (const address of orderHosts(settings)) {
    try {
      return await openOnHost(address, settings, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      const translated = connectionError(error, address, settings)
      if (translated !== error || settings.hosts.length === 1) throw translated
      failures.push(`${address.host}:${address.port}: ${describeError(error)}`)
    }
  }
  throw new ConnectionError('ENOHOST', failures.join('; '))
}

/** Where a connection string leads, for people: `HOST:PORT, database NAME`. */
export function describeTarget(target: ConnectionTarget): string {
  const { hosts, database } = readSettings(target)
  return `${hosts.map(({ host, port }) => `${host}:${port}`).join(',')}, database ${database}`
}

export function readSettings(target: ConnectionTarget): ConnectionSettings {
  try {
    return parseConnectionUrl(typeof target === 'string' ? target : target())
  } catch (error) {
    if (!(error instanceof ConnectionUrlError)) throw error
    throw wrongSettingsError([
      { name: 'DATABASE_URL', given: error.message, expected: 'a valid connection string' },
    ])
  }
}

function orderHosts({ hosts, inRandomOrder }: ConnectionSettings): readonly Address[] {
  if (!inRandomOrder) return hosts
  return hosts
    .map((address) => ({ address, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ address }) => address)
}

/** Tries the host with and without TLS, as `sslmode` wants it. */
async function openOnHost(
  address: Address,
  settings: ConnectionSettings,
  options: SessionOptions,
): Promise<OpenedSession> {
  const attempts = listTlsAttempts(settings.tls.mode)
  let first: unknown
  for (const use of attempts) {
    try {
      return await attempt(address, use, settings, options)
    } catch (error) {
      const isLast = use === attempts.at(-1)
      const mayRetry = isLoginRejected(error) || (use === 'if offered' && isTlsFailure(error))
      if (!isLast && mayRetry) first = error
      // pg_hba.conf may admit only one of the two; the first error is about the preferred one.
      else throw first !== undefined && isLoginRejected(error) ? first : error
    }
  }
  throw first
}

async function attempt(
  address: Address,
  use: TlsUse,
  settings: ConnectionSettings,
  options: SessionOptions,
): Promise<OpenedSession> {
  const fromUrl = settings.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS
  return withTimeLimit(
    Math.min(fromUrl, options.timeoutMs ?? fromUrl),
    options.signal,
    async (signal) => {
      const login = () => logIn(address, use, settings, options, signal)
      const client = await login()
      try {
        const { facts, isPooled } = await prepare(client, settings, options)
        assertTarget(facts, settings)
        if (isPooled) {
          if (options.assertsSessionPooling) await assertSessionPooling(client, login)
          await client.query(`select ${applySettingsSql(settings, options)}`)
        }
        return { client, facts, address }
      } catch (error) {
        client.destroy('the session could not be used')
        throw signal.aborted ? signal.reason : error
      }
    },
  )
}

async function withTimeLimit<T>(
  timeoutMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const timer = setTimeout(() => {
    limit.abort(
      new ConnectionError('ENOANSWER', `no answer within ${Math.round(timeoutMs / 100) / 10} s`),
    )
  }, timeoutMs)
  const onAbort = () => limit.abort(outer?.reason)
  outer?.addEventListener('abort', onAbort, { once: true })
  if (outer?.aborted) onAbort()
  try {
    return await work(limit.signal)
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onAbort)
  }
}

async function logIn(
  address: Address,
  use: TlsUse,
  settings: ConnectionSettings,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<SessionClient> {
  const { tls, user, password, database, channelBinding } = settings
  const { socket, isEncrypted } = await openSocket(address, { tls, use, signal })
  const client = new SessionClient({
    ...{ socket, isEncrypted, user, password, database, channelBinding },
    applicationName: options.applicationName,
    queryTimeoutMs: options.queryTimeoutMs ?? 0,
  })
  options.onClient?.(client)
  const onAbort = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await client.connect()
    return client
  } catch (error) {
    socket.destroy()
    throw signal.aborted ? signal.reason : error
  }
}

interface PreparedRow extends SessionFacts {
  readonly pid: number
}

/**
 * Reads the facts and applies the settings, in one round trip. Behind a pooler the settings are not
 * applied yet: they might end up in a session of another client. An inherited search_path may put other
 * operators in front of PostgreSQL's.
 */
async function prepare(
  client: SessionClient,
  settings: ConnectionSettings,
  options: SessionOptions,
): Promise<{ facts: SessionFacts; isPooled: boolean }> {
  const announcedPid = client.announcedPid ?? -1
  try {
    const { rows } = await client.query<PreparedRow>(
      `select pg_catalog.current_setting('server_version') as version,
              pg_catalog.div(pg_catalog.current_setting('server_version_num')::numeric, 10000)::integer as major,
              pg_catalog.current_setting('server_encoding') as encoding,
              pg_catalog.pg_is_in_recovery() as "isStandby",
              pg_catalog.current_setting('transaction_read_only')::boolean as "isReadOnly",
              pg_catalog.pg_backend_pid() as pid,
              case when pg_catalog.pg_backend_pid() operator(pg_catalog.=) ${announcedPid}
                   then (select ${applySettingsSql(settings, options)}) end as applied`,
    )
    const [row] = rows
    if (row === undefined) throw new Error('the server returned no row')
    const { version, major, encoding, isStandby, isReadOnly, pid } = row
    const facts = { version, major, encoding, isStandby, isReadOnly }
    client.backendPid = pid
    return { facts, isPooled: pid !== announcedPid }
  } catch (error) {
    const hasOptions = Object.keys(settings.options).length > 0
    if (!hasOptions || !(isSyntaxOrAccessError(error) || isWrongValue(error))) throw error
    throw wrongSettingsError([
      {
        name: 'DATABASE_URL',
        given: `options that PostgreSQL rejects: ${describeError(error)}`,
        expected: 'settings that this server has, with valid values',
      },
    ])
  }
}

/** A select list that applies the settings of the session; the URL's options come last, so they win. */
function applySettingsSql(
  { options: fromUrl }: ConnectionSettings,
  { settings = NO_TIME_LIMITS }: SessionOptions,
): string {
  const rows = [
    ...Object.entries(settings).map((entry) => [...entry, false] as const),
    ...Object.entries(fromUrl).map((entry) => [...entry, true] as const),
  ].map(([name, value, isRequired]) => `(${literal(name)}, ${literal(value)}, ${isRequired})`)
  if (rows.length === 0) return 'null'
  // Older servers lack some of the limits.
  return `pg_catalog.count(pg_catalog.set_config(name, value, false))
            from (values ${rows.join(', ')}) settings (name, value, is_required)
           where is_required or pg_catalog.current_setting(name, true) is not null`
}

/** With several hosts, or if the URL asks for it, a server that cannot be written to is passed over. */
function assertTarget(
  { isStandby, isReadOnly }: SessionFacts,
  { hosts, target }: ConnectionSettings,
): void {
  if (hosts.length === 1 && target === 'any') return
  if (isStandby) throw new ConnectionError('ENOTWRITABLE', 'it is a standby that is not promoted')
  if (isReadOnly && target !== 'primary')
    throw new ConnectionError('ENOTWRITABLE', 'it is read-only')
}
