import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Config } from '../config/config.ts'
import type { Log } from '../logger.ts'
import { applicationName } from '../postgres/application-name.ts'
import { createConnectionConfig, createPool } from '../postgres/pool.ts'

/** The database of the service; its users need not know whether it is given or embedded. */
export interface Database {
  readonly kind: 'given' | 'embedded'
  /** Includes the password: never log it. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly name: string
  readonly pool: Pool
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
  const pool = createPool(url, { applicationName: applicationName(), log })
  return {
    kind: 'given',
    url,
    ...locate(url),
    pool,
    shadowUrl: config.shadowDatabaseUrl,
    rootUrl: config.rootDatabaseUrl,
    close: () => pool.end(),
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
  const pool = createPool(described.url, { applicationName: applicationName(), log })
  return {
    ...described,
    pool,
    async close() {
      // Stopping the server disconnects the clients that are still in use by then.
      const ended = pool.end()
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
): Omit<Database, 'pool' | 'close'> {
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
  const { host, port, database } = createConnectionConfig(url, { applicationName: '' })
  return { host: String(host), port: Number(port), name: String(database) }
}
