import type { Pool } from 'pg'

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
