import { userInfo } from 'node:os'
import pg from 'pg'
import { parse } from 'pg-connection-string'
import type { Log } from '../logger.ts'

export interface ConnectionOptions {
  /** As pg_stat_activity shows it: see applicationName(). */
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
 * Everything that pg needs to connect to `url`. Nothing is left empty, because for empty values pg
 * reads PGUSER, PGPASSWORD, PGOPTIONS, PGSSLMODE, ~/.pgpass and the like.
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
    // A blank sets no option and is not empty.
    options: rest.options || ' ',
    client_encoding: 'UTF8',
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    keepAlive: true,
  }
}

/** Creates a pool that survives losing its connections: the next query opens a new one. */
export function createPool(url: string, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...createConnectionConfig(url, options),
    max: options.maxConnections ?? 5,
    // So that many services on one database do not use up its connections while idle.
    idleTimeoutMillis: 1000,
  })
  pool.on('error', (error) => {
    if (!pool.ending) options.log.warn({ err: error }, 'idle database connection lost')
  })
  // A connection that breaks while in use reports it twice: to the query, and as an event that would
  // end the process if it had no listener.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

function findUserName(): string {
  try {
    return userInfo().username
  } catch {
    // Containers often run as a numeric user without a name.
    return 'postgres'
  }
}
