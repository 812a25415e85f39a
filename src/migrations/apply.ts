import type { Client } from 'pg'
import { parse } from 'pg-connection-string'
import { OPTIONAL_SCHEMA } from '../config/config.ts'
import { ServiceError } from '../errors/service-error.ts'
import { retryConnecting } from '../postgres/retry.ts'
import { comparePending, readAppliedMigrations } from './history.ts'
import type { OptionalSchemaChoice } from './optional-schema.ts'
import type { MigrationStatus, ProvisionOptions } from './provision.ts'
import type { HeldLock } from './service-lock.ts'
import { loadGmrc, type ToolSettings } from './tool/gmrc.ts'
import { runTool, ToolLockBusy } from './tool/runner.ts'

export interface ApplyOptions extends ProvisionOptions {
  readonly client: Client
  readonly lock: HeldLock
  readonly status: MigrationStatus
  readonly optionalSchema: OptionalSchemaChoice
}

/** Applies what is pending by way of the tool, and makes sure that it has been applied. */
export async function applyPending(options: ApplyOptions): Promise<void> {
  const { client, config, database, lock, log, onProgress, signal, status } = options
  const settings = await gatherSettings(options)
  const onMigration = (detail: string) =>
    onProgress({ reason: 'migrating', detail: `applying ${detail}` })
  const readPending = async () =>
    comparePending(status.committed, await readAppliedMigrations(client))

  let pending = status.pending
  onProgress({ reason: 'migrating', detail: `${pending.length} pending` })
  const { url, pool } = database
  const { migrationsDir, nodeVariables, databaseWaitMs: waitMs } = config
  while (pending.length > 0) {
    try {
      const run = { url, migrationsDir, settings, pending, pool, log, signal, nodeVariables }
      await retryConnecting(() => runTool({ ...run, onProgress: onMigration }), {
        waitMs,
        log,
        signal,
      })
    } catch (error) {
      if (!(error instanceof ToolLockBusy)) throw error
      await lock.waitForTool()
      pending = await readPending()
      continue
    }
    pending = await readPending()
    if (pending.length > 0) throw notApplied(pending.map(({ filename }) => filename))
  }
}

/** What `.gmrc` says, with what only the service knows: its own setting, and a watchful session. */
async function gatherSettings({
  client,
  config,
  database,
  optionalSchema,
}: ApplyOptions): Promise<ToolSettings> {
  const gmrc = await loadGmrc(config.migrationsDir)
  const databaseOwner = gmrc.databaseOwner ?? parse(database.url).user ?? database.name
  return {
    ...gmrc,
    databaseOwner,
    placeholders: {
      ...gmrc.placeholders,
      [OPTIONAL_SCHEMA.placeholder]: optionalSchema.value,
      ':DATABASE_NAME': database.name,
      ':DATABASE_OWNER': databaseOwner,
    },
    pgSettings: {
      ...((await canCheckClients(client)) && { client_connection_check_interval: '250ms' }),
      ...gmrc.pgSettings,
    },
  }
}

/** PostgreSQL refuses it on systems that cannot tell a closed socket, macOS among them. */
async function canCheckClients(client: Client): Promise<boolean> {
  try {
    await client.query(`set client_connection_check_interval = '250ms'`)
    return true
  } catch {
    return false
  }
}

function notApplied(filenames: readonly string[]): ServiceError {
  return new ServiceError(
    'migration_not_applied',
    `the migration tool reported success, but did not apply ${filenames.join(', ')}`,
  )
}
