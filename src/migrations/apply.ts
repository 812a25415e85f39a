import type { Client } from 'pg'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { findReadOnlyReason } from '../database/state.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { MigrationEvent, OnEvent } from '../events.ts'
import type { Log } from '../logger.ts'
import { parseConnectionUrl } from '../postgres/connection/url.ts'
import { readDeadlockTimeoutMs } from '../postgres/deadlock-timeout.ts'
import { describeError, isReadOnlySqlstate } from '../postgres/errors.ts'
import { retryConnecting } from '../postgres/retry.ts'
import {
  type AppliedMigration,
  findPendingMigrations,
  type MigrationStatus,
  readAppliedMigrations,
} from './history.ts'
import { SessionLostError } from './lost.ts'
import { createMigrationRetry, createToolWatch, type ToolWatchOptions } from './migration-retry.ts'
import type { HeldLock } from './service-lock.ts'
import { runActions } from './tool/actions.ts'
import {
  MigrationBlockedError,
  runTool,
  ToolLockBusyError,
  ToolSessionLostError,
} from './tool/runner.ts'
import { type GmrcSettings, loadGmrcSettings } from './tool/settings.ts'
import type { Tool } from './tool/tool.ts'
import { createUnfinishedGuard } from './unfinished-guard.ts'

/** Which actions of `.gmrc` a start has run: each runs once. */
export interface ActionsRun {
  hasRunBefore: boolean
  /** A migration has begun, and what comes after all of them has not run yet. */
  owesAfter: boolean
}

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
    | 'migrationsDir'
    | 'databaseWaitMs'
    | 'lockTimeoutMs'
    | 'lockRetryMs'
    | 'migrationLockMs'
    | 'placeholderVariables'
    | 'secrets'
  >
  readonly database: Pick<Database, 'url' | 'name' | 'open' | 'pool'> &
    Partial<Pick<Database, 'sessions'>>
  /** The session that holds the migration lock. */
  readonly client: Client
  readonly lock: HeldLock
  readonly status: MigrationStatus
  /** Of this start, through every loss of the database. */
  readonly actionsRun: ActionsRun
  /** Prepared for the first run. */
  readonly tool?: Tool | undefined
  /** Placeholders that the service sets, whatever `.gmrc` says. */
  readonly placeholders: Readonly<Record<string, string>>
  readonly log: Log
  readonly signal: AbortSignal
  readonly onProgress: ToolWatchOptions['onProgress']
  /** Called when the tool is started; until it has ended, the client has nothing else to do. */
  readonly onStarted?: () => void
  /** Called when it has sent a file: until PostgreSQL answers, the process has nothing to do. */
  readonly onFileSent?: (isLast: boolean) => void
  /** The first migration waits for it. */
  readonly beforeFirstFile?: () => Promise<void>
  /** The first commit waits for it. */
  readonly beforeFirstCommit?: () => Promise<void>
  readonly onEvent?: OnEvent<MigrationEvent> | undefined
}

/** What has been applied. */
export interface Applied {
  /** The history. */
  readonly applied: readonly AppliedMigration[]
  /** Resolves when the tool's sessions have ended, which takes some milliseconds. */
  readonly ended: Promise<unknown>
}

/** Applies the pending migrations with graphile-migrate, verifies that the history has them, and returns it. */
export async function applyPending(options: ApplyOptions): Promise<Applied> {
  const { client, config, database, lock, status, log, signal, onProgress } = options
  const { migrationsDir, databaseWaitMs: waitMs } = config
  const { name: databaseName, pool } = database
  const { settings, actions, hasLockTimeout } = await createToolSettings(options)
  const lockTimeoutMs = hasLockTimeout ? undefined : config.lockTimeoutMs
  // Nothing waits for it.
  void warnOfDeadlockTimeout(client, lockTimeoutMs ?? 0, log).catch((error) => {
    log.debug({ reason: describeError(error) }, 'could not read deadlock_timeout')
  })
  const { onEvent } = options
  const common = { databaseName, pool, migrationsDir, settings, log, signal, onEvent }
  let { applied } = status
  const readPending = async () => {
    applied = await readAppliedMigrations(client)
    return findPendingMigrations(status.committed, applied)
  }

  const watch = createToolWatch({ database, lockTimeoutMs, log, onProgress })
  const retry = createMigrationRetry({ pool, lockRetryMs: config.lockRetryMs, log, signal, watch })
  const unfinished = createUnfinishedGuard(options)
  let { tool } = options
  const takeTool = () => {
    const taken = tool
    tool = undefined
    return taken
  }
  let ended: Promise<unknown> = Promise.resolve()
  let pending = status.pending
  onProgress(`${pending.length} pending`)
  const actionOptions = {
    open: (purpose: string) => database.open(purpose, { asNewConnection: true }),
    pool,
    settings,
    waitMs,
    log,
    signal,
  }
  if (!options.actionsRun.hasRunBefore && actions.before.length > 0) {
    // Its session would begin before what they set for new ones.
    takeTool()?.stop()
    await runActions(actions.before, actionOptions)
  }
  options.actionsRun.hasRunBefore = true
  while (pending.length > 0) {
    await unfinished.prepare(pending)
    try {
      const run = await retryConnecting(
        () =>
          runTool({
            ...common,
            // Read each time: its password may have changed since the last attempt.
            url: database.url,
            tool: takeTool(),
            pending,
            beforeFirstFile: options.beforeFirstFile,
            beforeFirstCommit: options.beforeFirstCommit,
            lockTimeoutMs,
            recordWaitMs: Math.max(1, config.migrationLockMs),
            onMigration(detail) {
              options.actionsRun.owesAfter = true
              watch.onMigration(detail)
            },
            onStarted(sessions) {
              watch.start(sessions)
              options.onStarted?.()
            },
            onFileSent: options.onFileSent,
            onEndAll: database.sessions?.onEndAll,
            inspect: unfinished.inspect,
          }).finally(watch.stop),
        { waitMs, log, signal },
      )
      ended = run.ended
    } catch (error) {
      if (error instanceof ToolLockBusyError) await lock.waitForTool()
      else if (error instanceof MigrationBlockedError) await retry.pause(error)
      else if (error instanceof ToolSessionLostError) await assertLost(error, client)
      else throw (await findReadOnlyError(error, client)) ?? error
      pending = await readPending()
      continue
    }
    pending = await readPending()
    if (pending.length > 0) throw notAppliedError(pending.map(({ filename }) => filename))
  }
  if (options.actionsRun.owesAfter) await runActions(actions.after, actionOptions)
  options.actionsRun.owesAfter = false
  await unfinished.finish()
  return { applied, ended }
}

/**
 * Returns if the migration was applied nevertheless. Throws a loss of the database, or the failure of the
 * migration if only its own session was ended: another run would not be what the administrator wants.
 */
async function assertLost(error: ToolSessionLostError, client: Client): Promise<void> {
  // Fails if the database is gone.
  await client.query('select')
  if (error.isApplied) return
  throw error.wasEnded ? error.failure : new SessionLostError(error.message)
}

/** The migration is not to blame if the database has become read-only, as clouds make it if its disk is full. */
async function findReadOnlyError(
  error: unknown,
  client: Client,
): Promise<ServiceError | undefined> {
  if (!(error instanceof ServiceError && isReadOnlySqlstate(error.extensions.sqlstate))) return
  const reason = await findReadOnlyReason(client)
  if (reason === undefined) return
  return new ServiceError('database_read_only', `${reason}; ${error.message}`, { cause: error })
}

/** Autovacuum gives a table up only to a session that has waited for the server's deadlock timeout. */
async function warnOfDeadlockTimeout(client: Client, lockTimeoutMs: number, log: Log) {
  if (lockTimeoutMs === 0) return
  const deadlockTimeoutMs = await readDeadlockTimeoutMs(client)
  if (lockTimeoutMs > deadlockTimeoutMs) return
  log.warn(
    { lockTimeoutMs, deadlockTimeoutMs },
    "LOCK_TIMEOUT_MS is not above the server's deadlock_timeout, so autovacuum never yields to a migration",
  )
}

/** Adds to `.gmrc` what only the service knows: its placeholders, and settings for the session. */
export async function createToolSettings({
  client,
  config,
  database,
  placeholders,
}: ToolSettingsOptions): Promise<GmrcSettings & { readonly hasLockTimeout: boolean }> {
  const { settings: gmrc, actions } = await loadGmrcSettings(config)
  for (const [name, value] of Object.entries(gmrc.placeholders))
    config.secrets.addNamed(name, value)
  const databaseOwner = gmrc.databaseOwner ?? parseConnectionUrl(database.url).user
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
  return { settings, actions, hasLockTimeout: 'lock_timeout' in gmrc.pgSettings }
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
