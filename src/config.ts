/** Everything that the environment decides, validated and frozen. */
export interface Config {
  /** The database to provision; without it the embedded PostgreSQL is started. */
  readonly databaseUrl: string | undefined
  readonly shadowDatabaseUrl: string | undefined
  readonly rootDatabaseUrl: string | undefined
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
  /** Absolute path. */
  readonly embeddedDataDir: string
  readonly embeddedPort: number
  /** Absolute path of the folder that holds `committed/` and `current.sql`. */
  readonly migrationsDir: string
  /** Undefined: what the database has, `on` for a new one. */
  readonly e2eSchema: 'on' | 'off' | undefined
  readonly databaseWaitMs: number
  readonly migrationLockMs: number
  readonly onMigrationFailure: 'exit' | 'stay'
  readonly resetEnabled: boolean
  readonly resetToken: string | undefined
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  readonly shutdownMs: number
}
