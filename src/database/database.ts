import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import type { Log } from '../logger.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { parseConnectionUrl } from '../postgres/connection/url.ts'
import type { Pool } from '../postgres/pool.ts'
import { createSessions, type OpenOptions, type Sessions } from '../postgres/sessions.ts'

/** The database of the service; its users need not know whether it is given or embedded. */
export interface Database {
  readonly kind: 'given' | 'embedded'
  /** Includes the password: never log it. From a file it is read again each time. */
  readonly url: string
  /** Of the server in use; of the first one before any was reached. */
  readonly host: string
  readonly port: number
  readonly name: string
  /** Opens a session; operators see `purpose` in pg_stat_activity. */
  open(purpose: string, options?: OpenOptions): Promise<SessionClient>
  /** For single statements. */
  readonly pool: Pool
  /** All of them, to end them together. */
  readonly sessions: Sessions
  /** For graphile-migrate's development commands; derived for an embedded database. */
  readonly shadowUrl: string | undefined
  readonly rootUrl: string | undefined
  /** Ends the pool, and stops the server if it is embedded. */
  close(): Promise<void>
}

export interface OpenDatabaseDeps {
  readonly log: Log
  /** Cancels opening; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
}

const EMBEDDED_DATABASE = 'commandbus'
const POOL_END_MS = 500

/**
 * Opens the database that the settings name. Starts the embedded server; does not connect to a given
 * one, which `waitForDatabase` is for.
 */
export async function openDatabase(config: Config, deps: OpenDatabaseDeps): Promise<Database> {
  return config.databaseUrl === undefined
    ? openEmbedded(config, deps)
    : openGiven(config.databaseUrl, config, deps)
}

function openGiven(url: string, config: Config, { log }: OpenDatabaseDeps): Database {
  const readUrl = () => config.readUrl('DATABASE_URL') ?? url
  const sessions = createSessions({ readUrl, log })
  const { hosts, database: name } = parseConnectionUrl(url)
  return {
    kind: 'given',
    get url() {
      return readUrl()
    },
    get host() {
      return (sessions.address ?? hosts[0]).host
    },
    get port() {
      return (sessions.address ?? hosts[0]).port
    },
    name,
    open: sessions.open,
    pool: sessions.pool,
    sessions,
    shadowUrl: config.shadowDatabaseUrl,
    rootUrl: config.rootDatabaseUrl,
    close: sessions.close,
  }
}

async function openEmbedded(config: Config, { log, signal }: OpenDatabaseDeps): Promise<Database> {
  // A service with a given database does not load what runs a server.
  const { openEmbeddedServer } = await import('./embedded/embedded-server.ts')
  const server = await openEmbeddedServer({
    dataDir: config.embeddedDataDir,
    port: config.embeddedPort,
    database: EMBEDDED_DATABASE,
    password: config.embeddedPassword,
    secrets: config.secrets,
    // The rest of the time is for an immediate shutdown, if a clean one takes too long.
    stopMs: config.shutdownMs * 0.6,
    log,
    signal,
  })
  const described = describeEmbedded(config, server.urlOf)
  const sessions = createSessions({ readUrl: () => described.url, log })
  return {
    ...described,
    open: sessions.open,
    pool: sessions.pool,
    sessions,
    async close() {
      // Stopping the server disconnects the clients that are still in use by then.
      const ended = sessions.close()
      await Promise.race([ended, sleep(POOL_END_MS, undefined, { ref: false })])
      await server.close()
      await ended
    },
  }
}

/** Describes the embedded database, whichever process runs its server. */
export function describeEmbedded(
  config: Config,
  urlOf: (database: string) => string,
): Omit<Database, 'open' | 'pool' | 'sessions' | 'close'> {
  const url = urlOf(EMBEDDED_DATABASE)
  return {
    kind: 'embedded',
    url,
    ...locate(url),
    shadowUrl: config.shadowDatabaseUrl ?? urlOf(`${EMBEDDED_DATABASE}_shadow`),
    rootUrl: config.rootDatabaseUrl ?? urlOf('postgres'),
  }
}

function locate(url: string): { host: string; port: number; name: string } {
  const { hosts, database: name } = parseConnectionUrl(url)
  return { ...hosts[0], name }
}
