import type { Log } from '../logger.ts'
import { applicationName } from './application-name.ts'
import type { Queryable } from './client.ts'
import type { SessionClient } from './connection/client.ts'
import { type OpenedSession, openSession, type SessionOptions } from './connection/session.ts'
import type { Address } from './connection/url.ts'
import { findIdleBackends, SUSPICIOUS_MS } from './idle-backends.ts'
import { createLoginGate } from './login-gate.ts'
import { type CountedPool, createPool } from './pool.ts'
import { SERVICE_SESSION } from './service-session.ts'

export interface OpenOptions extends Pick<SessionOptions, 'timeoutMs' | 'signal'> {
  /** Default: no limit. */
  readonly queryTimeoutMs?: number
  /** For statements that others wrote: the settings of the role and the database stay, but for time limits. */
  readonly asNewConnection?: boolean
}

/** Every session that the service has with its database. */
export interface Sessions {
  /** Opens a session; operators see `purpose` in pg_stat_activity. */
  open(purpose: string, options?: OpenOptions): Promise<SessionClient>
  /** Opens the first one, says what the server is, and rejects a pooler that shares backends. */
  openFirst(
    purpose: string,
    limits: Pick<SessionOptions, 'timeoutMs' | 'signal'>,
  ): Promise<OpenedSession>
  /** For single statements. */
  readonly pool: CountedPool
  /** The host that accepted the last session; undefined before the first. */
  readonly address: Address | undefined
  /**
   * Closes every session at once, because the database no longer answers in them. Whatever waits for an
   * answer fails with a lost connection; new sessions can be opened.
   */
  endAll(reason: string, except?: SessionClient): void
  /**
   * Ends the sessions that wait for an answer that will not come: according to the server, which is asked
   * in another session, their backends have nothing to do. Returns how many. Also ends the backends of
   * sessions that were closed without an answer: they may hold the migration lock.
   */
  endSilent(through: Queryable): Promise<number>
  /** Calls the listener whenever all sessions are ended; returns a function that removes it. */
  onEndAll(listener: (reason: string) => void): () => void
  /** Closes the pool; sessions from `open` belong to those who opened them. */
  close(): Promise<void>
}

export interface SessionsOptions {
  /** Reads the connection string; called for each new session, because the password may have changed. */
  readonly readUrl: () => string
  readonly log: Log
}

/** A statement of the pool is a short one: a status, a cancel. */
const POOL_QUERY_MS = 10_000

export function createSessions({ readUrl, log }: SessionsOptions): Sessions {
  const clients = new Set<SessionClient>()
  const listeners = new Set<(reason: string) => void>()
  /** Backends of sessions that were closed unanswered; the server may not notice, and keep their locks. */
  const abandoned = new Set<number>()
  const gate = createLoginGate()
  let address: Address | undefined

  async function open(
    purpose: string,
    { asNewConnection = false, ...options }: OpenOptions = {},
  ): Promise<SessionClient> {
    const url = readUrl()
    const session = await gate.pass(url, () =>
      openSession(url, {
        ...options,
        applicationName: applicationName(purpose),
        ...(!asNewConnection && { settings: SERVICE_SESSION }),
      }),
    )
    return register(session).client
  }

  function register(session: OpenedSession): OpenedSession {
    const { client } = session
    address = session.address
    clients.add(client)
    client.once('end', () => clients.delete(client))
    return session
  }

  function abandon(client: SessionClient, reason: string): void {
    if (client.backendPid !== undefined) abandoned.add(client.backendPid)
    client.destroy(reason)
  }

  async function endAbandoned(through: Queryable): Promise<void> {
    if (abandoned.size === 0) return
    const inUse = new Set([...clients].map(({ backendPid }) => backendPid))
    const pids = [...abandoned].filter((pid) => !inUse.has(pid))
    await through.query(
      `select pg_catalog.pg_terminate_backend(pid)
         from pg_catalog.pg_stat_activity
        where pid = any ($1) and usename = session_user and application_name like $2`,
      [pids, `${applicationName()}%`],
    )
    for (const pid of pids) abandoned.delete(pid)
  }

  const pool = createPool({ open: () => open('', { queryTimeoutMs: POOL_QUERY_MS }), log })
  return {
    open,
    openFirst: async (purpose, limits) =>
      register(
        await openSession(readUrl(), {
          ...limits,
          applicationName: applicationName(purpose),
          settings: SERVICE_SESSION,
          assertsSessionPooling: true,
        }),
      ),
    pool,
    get address() {
      return address
    },
    endAll(reason, except) {
      for (const client of clients) if (client !== except) abandon(client, reason)
      for (const listener of [...listeners]) listener(reason)
    },
    async endSilent(through) {
      await endAbandoned(through)
      const waiting = [...clients].filter((client) => client.waitingMs > SUSPICIOUS_MS)
      const pids = waiting.flatMap(({ backendPid }) => backendPid ?? [])
      if (pids.length === 0) return 0
      const idle = await findIdleBackends(through, pids)
      const silent = waiting.filter(({ backendPid }) => backendPid && idle.has(backendPid))
      for (const client of silent) abandon(client, 'the database no longer answers in this session')
      await endAbandoned(through)
      return silent.length
    },
    onEndAll(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => pool.end(),
  }
}
