import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Config } from '../config/config.ts'
import type { Log } from '../logger.ts'
import { applicationName } from '../postgres/application-name.ts'
import { createConnectionConfig, createPool } from '../postgres/pool.ts'
import { serverUrl } from './embedded/data-folder.ts'
import { openEmbeddedServer } from './embedded/embedded-server.ts'

/** A PostgreSQL that can be reached; whoever uses it does not ask where it came from. */
export interface Database {
  readonly kind: 'given' | 'embedded'
  /** With the password: never logged. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly name: string
  readonly pool: Pool
  /** For graphile-migrate's development commands; derived where the database is embedded. */
  readonly shadowUrl: string | undefined
  readonly rootUrl: string | undefined
  /** Ends the pool, and stops the server where it is embedded. */
  close(): Promise<void>
}

const EMBEDDED_DATABASE = 'commandbus'

export interface OpenDatabaseDeps {
  readonly log: Log
  /** Ends an opening that is under way; the promise is rejected with the signal's reason. */
  readonly signal: AbortSignal
}

const POOL_END_MS = 500

/**
 * Opens the database that the settings name. A given one is only described: whether it answers is
 * for `waitForDatabase` to find out. The embedded server is started.
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
  const server = await openEmbeddedServer({
    dataDir: config.embeddedDataDir,
    port: config.embeddedPort,
    database: EMBEDDED_DATABASE,
    // Leaves the rest of the time for ending at once what would not end in peace.
    stopMs: config.shutdownMs * 0.6,
    log,
    signal,
  })
  const described = describeEmbedded(config)
  const pool = createPool(described.url, { applicationName: applicationName(), log })
  return {
    ...described,
    pool,
    async close() {
      // What the pool still has in use by then, the server ends.
      const ended = pool.end()
      await Promise.race([ended, sleep(POOL_END_MS, undefined, { ref: false })])
      await server.close()
      await ended
    },
  }
}

/** Where the embedded server is, whoever runs it. */
export function describeEmbedded(config: Config): Omit<Database, 'pool' | 'close'> {
  const urlOf = (name: string) => serverUrl(config.embeddedPort, name)
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
