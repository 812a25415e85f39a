import type { Client } from 'pg'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { openClient } from '../postgres/client.ts'
import {
  describeError,
  isConnectionLost,
  isInsufficientPrivilege,
  isOutOfResources,
} from '../postgres/errors.ts'
import { outOfResourcesError } from '../postgres/out-of-resources.ts'
import { retryConnecting } from '../postgres/retry.ts'
import { liftTimeLimits } from '../postgres/session-settings.ts'
import type { CommittedMigration } from './files/migration.ts'
import {
  type AppliedMigration,
  type MigrationStatus,
  readAppliedMigrations,
  readMigrationStatus,
} from './history.ts'
import {
  chooseOptionalSchema,
  type OptionalSchema,
  type OptionalSchemaChoice,
} from './optional-schema.ts'
import { withMigrationLock } from './service-lock.ts'

/** What provisioning is doing now, in the words of `/readyz`. */
export interface ProvisionProgress {
  readonly reason: 'waiting_for_database' | 'waiting_for_lock' | 'migrating'
  readonly detail: string
}

export interface ProvisionOptions {
  readonly config: Pick<
    Config,
    | 'migrationsDir'
    | 'databaseWaitMs'
    | 'migrationLockMs'
    | 'nodeVariables'
    | 'placeholderVariables'
    | 'secrets'
  >
  readonly database: Pick<Database, 'url' | 'name' | 'pool'>
  readonly optionalSchema: OptionalSchema
  readonly log: Log
  /** Ends every wait, and rolls back a migration that is running. */
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

export interface ProvisionResult {
  /** Every migration in the history. */
  readonly applied: readonly AppliedMigration[]
  /** Those that this call applied. */
  readonly appliedNow: readonly CommittedMigration[]
  readonly optionalSchema: OptionalSchemaChoice
}

/** Brings the database to the last committed migration: lock, compare, apply what is pending. */
export async function provision(options: ProvisionOptions): Promise<ProvisionResult> {
  const { config, log, signal, onProgress, hooks } = options
  const onWaiting = (detail: string) => {
    onProgress({ reason: 'waiting_for_lock', detail })
    log.info({ detail }, 'waiting for the migration lock')
  }
  const lockOptions = { timeoutMs: config.migrationLockMs, signal, onWaiting }
  let client: Client | undefined
  try {
    const session = await openLockSession(options)
    client = session
    return await withMigrationLock(session, lockOptions, async (lock) => {
      await lock.waitForTool()
      await hooks?.afterLocking?.(session)
      const status = await readMigrationStatus(session, config.migrationsDir)
      let optionalSchema = await chooseOptionalSchema(session, status, options.optionalSchema)
      await hooks?.beforeMigrating?.(session, status)
      if (status.pending.length > 0) {
        // Imported only here, because a start with nothing pending has to be fast.
        const { applyPending } = await import('./apply.ts')
        await applyPending({
          ...options,
          client: session,
          lock,
          status,
          placeholders: { [options.optionalSchema.placeholder]: optionalSchema.value },
          onProgress: (detail) => onProgress({ reason: 'migrating', detail }),
        })
      }
      const applied = await readAppliedMigrations(session)
      if (status.pending.length > 0) {
        // A schema that was adopted is there whatever the setting says.
        const { committed } = status
        optionalSchema = await chooseOptionalSchema(
          session,
          { committed, applied },
          options.optionalSchema,
        )
      }
      const result = { applied, appliedNow: status.pending, optionalSchema }
      await hooks?.afterMigrating?.(session, result)
      return result
    })
  } catch (error) {
    throw lockSessionError(error)
  } finally {
    await client?.end().catch(() => {})
  }
}

/** Opens the session that holds the lock; hooks may keep it busy for as long as they need. */
async function openLockSession({
  config,
  database,
  log,
  signal,
  onProgress,
}: ProvisionOptions): Promise<Client> {
  const open = async () => {
    const client = await openClient(database.url, 'lock')
    try {
      await liftTimeLimits(client)
      return client
    } catch (error) {
      await client.end().catch(() => {})
      throw error
    }
  }
  const onWaiting = (reason: string) =>
    onProgress({
      reason: 'waiting_for_database',
      detail: `waiting for a connection to the database: ${reason}`,
    })
  return retryConnecting(open, { waitMs: config.databaseWaitMs, log, signal, onWaiting })
}

/** Returns a foreseen error if the lock session lacked a privilege or failed; else the error itself. */
function lockSessionError(error: unknown): unknown {
  if (error instanceof ServiceError) return error
  const reason = describeError(error)
  if (isInsufficientPrivilege(error)) {
    return new ServiceError(
      'privilege_missing',
      `${reason}; grant the missing privilege to the user of DATABASE_URL`,
      { cause: error },
    )
  }
  if (isConnectionLost(error)) {
    return new ServiceError('database_lost', `lost the database while provisioning: ${reason}`, {
      cause: error,
    })
  }
  if (isOutOfResources(error)) return outOfResourcesError(error, 'while provisioning')
  return error
}
