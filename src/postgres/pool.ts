import { userInfo } from 'node:os'
import pg from 'pg'
import { parse } from 'pg-connection-string'
import type { Log } from '../logger.ts'

export interface ConnectionOptions {
  /** How the session shows in pg_stat_activity. */
  readonly applicationName: string
  /** Default 5 s. */
  readonly connectTimeoutMs?: number
}

export interface PoolOptions extends ConnectionOptions {
  /** Default 5. */
  readonly maxConnections?: number
  readonly log: Log
}

/**
 * What pg needs to connect to `url`, with nothing left for it to look up elsewhere: for whatever is
 * missing or empty pg would read PGUSER, PGPASSWORD, PGOPTIONS, PGSSLMODE, ~/.pgpass and the like.
 */
export function createConnectionConfig(url: string, options: ConnectionOptions): pg.ClientConfig {
  const { user: givenUser, password, database, host, port, ssl, ...rest } = parse(url)
  const user = givenUser || findUserName()
  return {
    ...(rest as pg.ClientConfig),
    ...{ sslnegotiation: rest.sslnegotiation || 'postgres' },
    user,
    password: async () => password ?? '',
    database: database || user,
    host: host || 'localhost',
    port: Number(port || 5432),
    ssl: (ssl as pg.ClientConfig['ssl']) ?? false,
    // A blank is no option at all, yet not empty.
    options: rest.options || ' ',
    client_encoding: 'UTF8',
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    keepAlive: true,
  }
}

/** Creates a pool that survives the loss of its connections: the next query takes a new one. */
export function createPool(url: string, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...createConnectionConfig(url, options),
    max: options.maxConnections ?? 5,
    // Many services on one database hold no connection that none of them uses.
    idleTimeoutMillis: 1000,
  })
  pool.on('error', (error) => {
    if (!pool.ending) options.log.warn({ err: error }, 'idle database connection lost')
  })
  // A connection in use reports its loss twice: to the query, and as an event that would end the
  // process if nobody listened.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Lends a connection to `work` and takes it back. */
export async function withClient<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  try {
    return await work(client)
  } finally {
    client.release()
  }
}

/** Runs `work` in one transaction: commits its result, rolls back on any error. */
export async function withTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  return withClient(pool, async (client) => {
    await client.query('begin')
    try {
      const result = await work(client)
      const { command } = await client.query('commit')
      // PostgreSQL answers so, without an error, when `work` has swallowed one.
      if (command === 'ROLLBACK') throw new Error('the transaction had failed and was rolled back')
      return result
    } catch (error) {
      // Fails when the connection is what broke; then the server has rolled back already.
      await client.query('rollback').catch(() => {})
      throw error
    }
  })
}

function findUserName(): string {
  try {
    return userInfo().username
  } catch {
    // A numeric user without a name, as in a container.
    return 'postgres'
  }
}
