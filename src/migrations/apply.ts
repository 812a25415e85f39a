import type { Client } from 'pg'
import { parse } from 'pg-connection-string'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import { retryConnecting } from '../postgres/retry.ts'
import { findPendingMigrations, type MigrationStatus, readAppliedMigrations } from './history.ts'
import type { HeldLock } from './service-lock.ts'
import { runActions } from './tool/actions.ts'
import { runTool, ToolLockBusyError } from './tool/runner.ts'
import { type GmrcSettings, loadGmrcSettings } from './tool/settings.ts'

interface ToolSettingsOptions {
  readonly config: Pick<Config, 'migrationsDir' | 'placeholderVariables' | 'secrets'>
  readonly database: Pick<Database, 'url' | 'name'>
  readonly client: Client
  /** Placeholders that the service sets, whatever `.gmrc` says. */
  readonly placeholders: Readonly<Record<string, string>>
}

export interface ApplyOptions {
  readonly config: Pick<
    Config,
    'migrationsDir' | 'databaseWaitMs' | 'nodeVariables' | 'placeholderVariables' | 'secrets'
  >
  readonly database: Pick<Database, 'url' | 'name' | 'pool'>
  /** The session that holds the migration lock. */
  readonly client: Client
  readonly lock: HeldLock
  readonly status: MigrationStatus
  /** Placeholders that the service sets, whatever `.gmrc` says. */
  readonly placeholders: Readonly<Record<string, string>>
  readonly log: Log
  readonly signal: AbortSignal
  readonly onProgress: (detail: string) => void
}

/** Applies the pending migrations with graphile-migrate, and verifies that the history has them. */
export async function applyPending(options: ApplyOptions): Promise<void> {
  const { client, config, database, lock, status, log, signal, onProgress } = options
  const { migrationsDir, nodeVariables, databaseWaitMs: waitMs } = config
  const { url, name: databaseName, pool } = database
  const { settings, actions } = await createToolSettings(options)
  const onMigration = (detail: string) => onProgress(`applying ${detail}`)
  const readPending = async () =>
    findPendingMigrations(status.committed, await readAppliedMigrations(client))

  let pending = status.pending
  onProgress(`${pending.length} pending`)
  const actionsRun = { url, pool, settings, waitMs, log, signal }
  await runActions(actions.before, actionsRun)
  while (pending.length > 0) {
    try {
      const run = {
        url,
        databaseName,
        pool,
        migrationsDir,
        settings,
        pending,
        log,
        signal,
        nodeVariables,
      }
      await retryConnecting(() => runTool({ ...run, onMigration }), { waitMs, log, signal })
    } catch (error) {
      if (!(error instanceof ToolLockBusyError)) throw error
      await lock.waitForTool()
      pending = await readPending()
      continue
    }
    pending = await readPending()
    if (pending.length > 0) throw notAppliedError(pending.map(({ filename }) => filename))
    await runActions(actions.after, actionsRun)
  }
}

/** Adds to `.gmrc` what only the service knows: its placeholders, and settings for the session. */
export async function createToolSettings({
  client,
  config,
  database,
  placeholders,
}: ToolSettingsOptions): Promise<GmrcSettings> {
  const { settings: gmrc, actions } = await loadGmrcSettings(config)
  for (const [name, value] of Object.entries(gmrc.placeholders))
    config.secrets.addNamed(name, value)
  const databaseOwner = gmrc.databaseOwner ?? parse(database.url).user ?? database.name
  const settings = {
    ...gmrc,
    databaseOwner,
    placeholders: {
      ...gmrc.placeholders,
      ...placeholders,
      ':DATABASE_NAME': database.name,
      ':DATABASE_OWNER': databaseOwner,
    },
    pgSettings: {
      ...((await canDetectLostClients(client)) && { client_connection_check_interval: '250ms' }),
      ...gmrc.pgSettings,
    },
  }
  return { settings, actions }
}

/** PostgreSQL rejects the setting where it cannot detect a closed socket, as on macOS. */
async function canDetectLostClients(client: Client): Promise<boolean> {
  try {
    await client.query(`set client_connection_check_interval = '250ms'`)
    return true
  } catch {
    return false
  }
}

function notAppliedError(filenames: readonly string[]): ServiceError {
  return new ServiceError(
    'migration_not_applied',
    `the migration tool reported success, but did not apply ${filenames.join(', ')}`,
  )
}
