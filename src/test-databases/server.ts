import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../logger.ts'
import { openClient } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { urlOfDatabase } from '../postgres/connection/other-database.ts'
import type { Address } from '../postgres/connection/url.ts'
import type { Keeper } from './keeper.ts'

/** The settings that a test database is made by. */
export type TestDatabasesConfig = Pick<
  Config,
  | 'migrationsDir'
  | 'databaseWaitMs'
  | 'migrationLockMs'
  | 'lockTimeoutMs'
  | 'lockRetryMs'
  | 'placeholderVariables'
  | 'secrets'
  | 'whenAhead'
  | 'optionalSchema'
  | 'seedsDir'
  | 'shutdownMs'
>

/** The server that holds the test databases, and this service's part in it. */
export interface TestServer {
  readonly config: TestDatabasesConfig
  /** The database of DATABASE_URL, where the leases are kept. */
  readonly database: Pick<
    Database,
    'url' | 'rootUrl' | 'name' | 'host' | 'port' | 'pool' | 'open' | 'sessions'
  >
  readonly keeper: Keeper
  readonly log: Log
  /** Aborts when the service stops. */
  readonly signal: AbortSignal
}

/** A statement in a test database that takes longer is given up with the database. */
const QUERY_TIMEOUT_MS = 30_000

/** The purpose of the sessions that the service keeps in test databases. */
export const PURPOSE = 'test database'

/** Opens a session in another database of the server. */
export function openIn({ database }: TestServer, name: string): Promise<SessionClient> {
  return openClient(urlOfDatabase(database.url, name), PURPOSE, { timeoutMs: QUERY_TIMEOUT_MS })
}

/** The connection string that a borrower gets; it has the password. */
export function urlForBorrower(
  { database }: Pick<TestServer, 'database'>,
  name: string,
  address: Address | undefined,
): string {
  return urlOfDatabase(database.url, name, address)
}
