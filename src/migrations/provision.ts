import type { Client } from 'pg'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { MigrationEvent, OnEvent } from '../events.ts'
import type { Log } from '../logger.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import {
  describeError,
  isBlocked,
  isInsufficientPrivilege,
  isOutOfResources,
} from '../postgres/errors.ts'
import { outOfResourcesError } from '../postgres/out-of-resources.ts'
import { type Blocker, createBlockedWait, describeBlockers, watchBlockers } from './blockers.ts'
import type { CommittedMigration } from './files/migration.ts'
import { type AppliedMigration, type MigrationStatus, readMigrationStatus } from './history.ts'
import { openLockSession, type ReachOptions } from './lock-session.ts'
import { createRecovery, isDatabaseLost } from './lost.ts'
import {
  chooseOptionalSchema,
  type OptionalSchema,
  type OptionalSchemaChoice,
} from './optional-schema.ts'
import { type HeldLock, withMigrationLock } from './service-lock.ts'
import { prepareTool, type Tool } from './tool/tool.ts'
import { assertFinished } from './unfinished-guard.ts'

/** What provisioning is doing now, in the words of `/readyz`. */
export interface ProvisionProgress {
  readonly reason: 'waiting_for_database' | 'waiting_for_lock' | 'migrating'
  readonly detail: string
  /** Without their queries, which may contain secrets. */
  readonly blockers?: readonly Omit<Blocker, 'query'>[]
}

export interface ProvisionOptions {
  readonly config: Pick<
    Config,
    | 'migrationsDir'
    | 'databaseWaitMs'
    | 'migrationLockMs'
    | 'lockTimeoutMs'
    | 'lockRetryMs'
    | 'placeholderVariables'
    | 'secrets'
    | 'whenAhead'
  >
  readonly database: Pick<Database, 'url' | 'name' | 'open' | 'pool'> &
    Partial<Pick<Database, 'sessions'>>
  readonly optionalSchema: OptionalSchema
  readonly log: Log
  /** Ends every wait, and rolls back a migration that is running. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: ProvisionProgress) => void
  readonly onEvent?: OnEvent<MigrationEvent> | undefined
  readonly hooks?: ProvisionHooks
  /** A session that is open already, for the first attempt; it belongs to this call. */
  readonly session?: SessionClient | undefined
  /**
   * Takes over the session that held the migration lock, once it is released: where connections are few,
   * another start would take the place of a session that ends. Default: it is closed.
   */
  readonly onReleased?: (session: SessionClient) => void
  /** False: a lost database is an error at once. Default: true. */
  readonly reconnects?: boolean
}

/**
 * Each hook runs on the session that holds the migration lock. If the database is lost, or a lock times
 * out, they run again on the next session.
 */
export interface ProvisionHooks {
  /** Runs before the history is read. */
  afterLocking?(client: Client): Promise<void>
  /** Runs once the history is known to match the files, even if nothing is pending. */
  beforeMigrating?(client: Client, status: MigrationStatus): Promise<void>
  /** Begins when the tool is started, where something is pending; the first migration waits for it. */
  beforeFirstFile?(client: Client): Promise<void>
  /** Begins when the first migration was sent, and its commit waits for it; one that commits by itself is sent later. */
  beforeFirstCommit?(client: Client): Promise<void>
  /**
   * Begins after that, when a migration was sent, and is not waited for: until PostgreSQL answers, neither the
   * process nor the session has anything to do, so this is the time to prepare what comes then. A failure is ignored.
   */
  whileMigrating?(client: Client, migration: { readonly isLast: boolean }): Promise<void>
  /** Runs once no migration is pending, even if none was applied. */
  afterMigrating?(client: Client, result: ProvisionResult): Promise<void>
}

export interface ProvisionResult {
  /** Every migration in the history. */
  readonly applied: readonly AppliedMigration[]
  /** Those that this call applied. */
  readonly appliedNow: readonly CommittedMigration[]
  readonly optionalSchema: OptionalSchemaChoice
  /** Applied migrations that our files lack: a newer version has migrated this database. */
  readonly ahead: readonly AppliedMigration[]
}

/**
 * Brings the database to the last committed migration: lock, compare, apply what is pending. Where the
 * database is lost on the way, all of it is done again on a new session, from what the history says then.
 */
export async function provision(options: ProvisionOptions): Promise<ProvisionResult> {
  const run = createRun(options)
  while (true) {
    try {
      return await run.attempt()
    } catch (error) {
      options.signal.throwIfAborted()
      await run.recover(error)
    }
  }
}

/** One call of `provision`, however many attempts it takes. */
function createRun(options: ProvisionOptions) {
  const { config, database, log, signal, onProgress, hooks } = options
  const reach: ReachOptions = {
    ...options,
    onWait: (detail) => onProgress({ reason: 'waiting_for_database', detail }),
  }
  const recovery = createRecovery({ ...reach, canReconnect: options.reconnects ?? true })
  const blocked = createBlockedWait({ timeoutMs: config.migrationLockMs, signal })
  let logged: string | undefined
  const onWaiting = (detail: string, blockers?: readonly Blocker[]) => {
    onProgress({ reason: 'waiting_for_lock', detail, ...showBlockers(blockers) })
    if (detail !== logged) log.info({ detail }, 'waiting for the migration lock')
    logged = detail
  }
  /** Everything that was pending when the history was first read. */
  let firstPending: readonly CommittedMigration[] | undefined
  let isApplying = false
  let opened = options.session
  const connect = () => {
    const first = opened
    opened = undefined
    return openLockSession(reach, first)
  }
  const actionsRun = { hasRunBefore: false, owesAfter: false }

  async function provisionOn(session: Client, lock: HeldLock): Promise<ProvisionResult> {
    await lock.waitForTool()
    await hooks?.afterLocking?.(session)
    let tool: Tool | undefined
    try {
      const status = await readStatus(session, () => {
        // It connects while the database is prepared for it.
        tool = prepareTool(database.url)
      })
      return await migrate(session, lock, status, tool)
    } finally {
      tool?.stop()
    }
  }

  async function readStatus(session: Client, onPending: () => void): Promise<MigrationStatus> {
    const { migrationsDir, whenAhead } = config
    const status = await readMigrationStatus(session, migrationsDir, whenAhead, onPending)
    recovery.noteApplied(status.applied.length)
    options.onEvent?.({
      kind: 'history_read',
      applied: status.applied.length,
      pending: status.pending.length,
    })
    firstPending ??= status.pending
    return status
  }

  async function migrate(
    session: Client,
    lock: HeldLock,
    status: MigrationStatus,
    tool: Tool | undefined,
  ): Promise<ProvisionResult> {
    if (!status.pending.some(({ noTransaction }) => noTransaction)) await assertFinished(session)
    let optionalSchema = await chooseOptionalSchema(session, status, options.optionalSchema)
    await hooks?.beforeMigrating?.(session, status)
    let { applied } = status
    let ended: Promise<unknown> | undefined
    if (status.pending.length > 0 || actionsRun.owesAfter) {
      // Imported only here, because a start with nothing pending has to be fast.
      const { applyPending } = await import('./apply.ts')
      isApplying = true
      const beforeFirstFile = once(async () => hooks?.beforeFirstFile?.(session))
      const beforeFirstCommit = once(async () => {
        await beforeFirstFile()
        await hooks?.beforeFirstCommit?.(session)
      })
      const done = await applyPending({
        ...options,
        client: session,
        lock,
        status,
        actionsRun,
        tool,
        placeholders: { [options.optionalSchema.placeholder]: optionalSchema.value },
        ...{ beforeFirstFile, beforeFirstCommit },
        onStarted: () => void beforeFirstFile().catch(() => {}),
        // Not before: the server's processors have enough to do until then.
        onFileSent: (isLast) =>
          void beforeFirstCommit()
            .then(() => hooks?.whileMigrating?.(session, { isLast }))
            .catch(() => {}),
        onProgress: (detail, blockers) =>
          onProgress({ reason: 'migrating', detail, ...showBlockers(blockers) }),
      }).finally(() => {
        isApplying = false
      })
      applied = done.applied
      ended = done.ended
    }
    if (status.pending.length > 0) {
      // A schema that was adopted is there whatever the setting says.
      const { committed } = status
      optionalSchema = await chooseOptionalSchema(
        session,
        { committed, applied },
        options.optionalSchema,
      )
    }
    const appliedNow = firstPending ?? []
    const result = { applied, appliedNow, optionalSchema, ahead: status.ahead }
    await hooks?.afterMigrating?.(session, result)
    // Otherwise the next copy of the database would wait for each of them.
    await ended
    return result
  }

  return {
    attempt: () =>
      withMigrationLock(
        {
          connect,
          timeoutMs: config.migrationLockMs,
          signal,
          onWaiting,
          onReleased: options.onReleased,
        },
        async (session, lock) => {
          const stop = watchBlockers({
            client: database.pool,
            waiting: { pid: session.backendPid ?? 0 },
            // The tool needs the connection more.
            isActive: () => !isApplying,
            onChange(blockers) {
              blocked.note(blockers)
              if (blockers.length > 0) {
                const by = describeBlockers(blockers)
                onWaiting(`waiting for another lock: blocked by ${by}`, blockers)
              }
            },
          })
          try {
            return await provisionOn(session, lock)
          } finally {
            stop()
          }
        },
      ),
    /** Waits until another attempt makes sense; throws if none does. */
    async recover(error: unknown): Promise<void> {
      if (isBlocked(error)) await blocked.pause(error)
      else if (isDatabaseLost(error)) await recovery.reconnect(error)
      else throw provisionError(error)
    },
  }
}

/** Begins the work when it is first asked for, and only then. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work()
    return running
  }
}

function showBlockers(blockers: readonly Blocker[] = []): Pick<ProvisionProgress, 'blockers'> {
  if (blockers.length === 0) return {}
  return { blockers: blockers.map(({ query: _, ...rest }) => rest) }
}

/** Returns a foreseen error if the lock session lacked a privilege or failed; else the error itself. */
function provisionError(error: unknown): unknown {
  if (error instanceof ServiceError) return error
  const reason = describeError(error)
  if (isInsufficientPrivilege(error)) {
    return new ServiceError(
      'privilege_missing',
      `${reason}; grant the missing privilege to the user of DATABASE_URL`,
      { cause: error },
    )
  }
  if (isOutOfResources(error)) return outOfResourcesError(error, 'while provisioning')
  return error
}
