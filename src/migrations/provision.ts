import type { Client } from 'pg'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import { openClient } from '../postgres/client.ts'
import { retryConnecting } from '../postgres/retry.ts'
import type { Readiness } from '../readiness.ts'
import { type CommittedMigration, readCommittedMigrations } from './files/committed.ts'
import { type AppliedMigration, comparePending, readAppliedMigrations } from './history.ts'
import { chooseOptionalSchema, type OptionalSchemaChoice } from './optional-schema.ts'
import { withMigrationLock } from './service-lock.ts'

export interface ProvisionOptions {
  readonly config: Pick<
    Config,
    'migrationsDir' | 'databaseWaitMs' | 'migrationLockMs' | 'optionalSchema' | 'nodeVariables'
  >
  readonly database: Pick<Database, 'url' | 'name' | 'pool'>
  readonly readiness: Readiness
  readonly log: Logger
  /** Ends every wait, and rolls a migration in flight back. */
  readonly signal: AbortSignal
  readonly hooks?: ProvisionHooks
}

/** All run while the migration lock is held, on the session that holds it. */
export interface ProvisionHooks {
  /** Before the history is looked at. */
  locked?(client: Client): Promise<void>
  /** After the history was found in order; also when nothing is pending. */
  beforeMigrating?(client: Client, plan: MigrationPlan): Promise<void>
  /** After every pending migration was applied; also when there was none. */
  afterMigrating?(client: Client, result: ProvisionResult): Promise<void>
}

export interface MigrationPlan {
  readonly committed: readonly CommittedMigration[]
  readonly applied: readonly AppliedMigration[]
  readonly pending: readonly CommittedMigration[]
}

/** `pending` are the migrations that were applied by this call. */
export interface ProvisionResult extends MigrationPlan {
  readonly optionalSchema: OptionalSchemaChoice
}

/** Brings the database to the last committed migration: lock, compare, migrate. */
export async function provision(options: ProvisionOptions): Promise<ProvisionResult> {
  const { config, readiness, log, signal, hooks } = options
  const client = await openLockClient(options)
  const onWaiting = (detail: string) => {
    readiness.set({ ready: false, reason: 'waiting_for_lock', detail })
    log.info({ detail }, 'waiting for the migration lock')
  }
  const lockOptions = { timeoutMs: config.migrationLockMs, signal, onWaiting }
  try {
    return await withMigrationLock(client, lockOptions, async (lock) => {
      await lock.waitForTool()
      await hooks?.locked?.(client)
      const plan = await compare(client, config.migrationsDir)
      const optionalSchema = await chooseOptionalSchema(client, plan, config.optionalSchema)
      await hooks?.beforeMigrating?.(client, plan)
      if (plan.pending.length > 0) {
        const migrate = await import('./apply.ts')
        await migrate.migrateAll({ ...options, client, lock, optionalSchema, plan })
      }
      const applied = await readAppliedMigrations(client)
      const result = { ...plan, applied, optionalSchema }
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
    return await retryConnecting(() => openPatientClient(database.url), connecting)
  } catch (error) {
    throw toServiceError(error)
  }
}

/** Time limits of the role are meant for an application: a capture or a rebuild takes as long as it takes. */
async function openPatientClient(url: string): Promise<Client> {
  const client = await openClient(url, 'lock')
  try {
    // Not every PostgreSQL has all of them.
    await client.query(
      `select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings
        where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout',
                       'idle_in_transaction_session_timeout', 'idle_session_timeout')`,
    )
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

async function compare(client: Client, migrationsDir: string): Promise<MigrationPlan> {
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
