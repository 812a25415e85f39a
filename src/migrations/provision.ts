import type { Client } from 'pg'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { openClient } from '../postgres/client.ts'
import { retryConnecting } from '../postgres/retry.ts'
import { liftTimeLimits } from '../postgres/session-settings.ts'
import { type CommittedMigration, readCommittedMigrations } from './files/committed.ts'
import { type AppliedMigration, comparePending, readAppliedMigrations } from './history.ts'
import { chooseOptionalSchema, type OptionalSchemaChoice } from './optional-schema.ts'
import { withMigrationLock } from './service-lock.ts'

/** What provisioning is doing now, in the words of `/readyz`. */
export interface ProvisionProgress {
  readonly reason: 'waiting_for_database' | 'waiting_for_lock' | 'migrating'
  readonly detail: string
}

export interface ProvisionOptions {
  readonly config: Pick<
    Config,
    'migrationsDir' | 'databaseWaitMs' | 'migrationLockMs' | 'optionalSchema' | 'nodeVariables'
  >
  readonly database: Pick<Database, 'url' | 'name' | 'pool'>
  readonly log: Log
  /** Ends every wait, and rolls a migration in flight back. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: ProvisionProgress) => void
  readonly hooks?: ProvisionHooks
}

/** Each hook runs on the session that holds the migration lock. */
export interface ProvisionHooks {
  /** Runs before the history is read. */
  afterLocking?(client: Client): Promise<void>
  /** Runs once the history is known to match the files, even if nothing is pending. */
  beforeMigrating?(client: Client, status: MigrationStatus): Promise<void>
  /** Runs once no migration is pending, even if none was applied. */
  afterMigrating?(client: Client, result: ProvisionResult): Promise<void>
}

/** The committed files compared with the history in the database. */
export interface MigrationStatus {
  readonly committed: readonly CommittedMigration[]
  readonly applied: readonly AppliedMigration[]
  readonly pending: readonly CommittedMigration[]
}

export interface ProvisionResult {
  /** Every migration in the history. */
  readonly applied: readonly AppliedMigration[]
  /** Those that this call applied. */
  readonly appliedNow: readonly CommittedMigration[]
  readonly optionalSchema: OptionalSchemaChoice
}

/** Brings the database to the last committed migration: lock, compare, migrate. */
export async function provision(options: ProvisionOptions): Promise<ProvisionResult> {
  const { config, log, signal, onProgress, hooks } = options
  const client = await openLockClient(options)
  const onWaiting = (detail: string) => {
    onProgress({ reason: 'waiting_for_lock', detail })
    log.info({ detail }, 'waiting for the migration lock')
  }
  const lockOptions = { timeoutMs: config.migrationLockMs, signal, onWaiting }
  try {
    return await withMigrationLock(client, lockOptions, async (lock) => {
      await lock.waitForTool()
      await hooks?.afterLocking?.(client)
      const status = await compare(client, config.migrationsDir)
      const optionalSchema = await chooseOptionalSchema(client, status, config.optionalSchema)
      await hooks?.beforeMigrating?.(client, status)
      if (status.pending.length > 0) {
        const { applyPending } = await import('./apply.ts')
        await applyPending({ ...options, client, lock, optionalSchema, status })
      }
      const applied = await readAppliedMigrations(client)
      const result = { applied, appliedNow: status.pending, optionalSchema }
      await hooks?.afterMigrating?.(client, result)
      return result
    })
  } catch (error) {
    throw toServiceError(error)
  } finally {
    await client.end().catch(() => {})
  }
}

async function openLockClient({ config, database, ...rest }: ProvisionOptions): Promise<Client> {
  const connecting = { waitMs: config.databaseWaitMs, ...rest }
  try {
    return await retryConnecting(() => openUnlimitedClient(database.url), connecting)
  } catch (error) {
    throw toServiceError(error)
  }
}

/** Capturing a baseline and rebuilding take as long as they take. */
async function openUnlimitedClient(url: string): Promise<Client> {
  const client = await openClient(url, 'lock')
  try {
    await liftTimeLimits(client)
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

async function compare(client: Client, migrationsDir: string): Promise<MigrationStatus> {
  const committed = readCommittedMigrations(migrationsDir)
  const applied = await readAppliedMigrations(client)
  return { committed, applied, pending: comparePending(committed, applied) }
}

/** What the lock's own session can meet: a privilege that is missing, a connection that breaks. */
function toServiceError(error: unknown): unknown {
  if (error instanceof ServiceError || !(error instanceof Error)) return error
  const { code } = error as { code?: string }
  if (code === '42501') {
    return new ServiceError(
      'privilege_missing',
      `${error.message}; grant it to the user of DATABASE_URL`,
      { cause: error },
    )
  }
  // SQLSTATE classes 08, 53 and 57, an error of the system's, or what the driver says by itself.
  const isConnectionLost =
    code === undefined
      ? /^(Connection term|timeout e|Query read timeout)/.test(error.message)
      : /^(08|53|57P|E[A-Z]{3})/.test(code)
  if (!isConnectionLost) return error
  return new ServiceError(
    'database_lost',
    `the database was lost while provisioning: ${error.message}`,
    { cause: error },
  )
}
