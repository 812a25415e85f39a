import { setTimeout as sleep } from 'node:timers/promises'
import type { MigrationEvent, OnEvent } from '../../events.ts'
import type { Log } from '../../logger.ts'
import type { Queryable } from '../../postgres/client.ts'
import { isConnectionRefusedForNow } from '../../postgres/errors.ts'
import type { CommittedMigration } from '../files/migration.ts'
import { cancelSessions, type ToolSessions } from './cancel.ts'
import { type Aftermath, describeAftermath, ROLLED_BACK } from './failure.ts'
import type { ToolMessage } from './messages.ts'
import { outcomeError, waitForOutcome } from './outcome.ts'
import { createProgress } from './progress.ts'
import type { ToolSettings } from './settings.ts'
import { createLossWatch } from './silence.ts'
import { prepareTool, type Tool } from './tool.ts'

export interface RunnerOptions {
  /** The database's URL, with the password. */
  readonly url: string
  readonly databaseName: string
  readonly migrationsDir: string
  /** With every placeholder that the migrations may use. */
  readonly settings: ToolSettings
  /** Undefined leaves the session's: `.gmrc` has one. */
  readonly lockTimeoutMs?: number | undefined
  /** How long the record of a file that ran outside a transaction may wait. Default: no limit. */
  readonly recordWaitMs?: number
  readonly pending: readonly CommittedMigration[]
  /** Cancels the tool's session over a connection of its own. */
  readonly pool: Queryable
  readonly log: Log
  readonly signal: AbortSignal
  /** A run that was prepared and has no job yet. Default: one is prepared. */
  readonly tool?: Tool | undefined
  readonly onMigration: (detail: string) => void
  readonly onEvent?: OnEvent<MigrationEvent> | undefined
  /** The first file waits for it. If it fails, nothing is run, and its error is that of the run. */
  readonly beforeFirstFile?: (() => Promise<void>) | undefined
  /** The first commit waits for it. If it fails, nothing is committed, and its error is that of the run. */
  readonly beforeFirstCommit?: (() => Promise<void>) | undefined
  /** Called when a file was sent: until PostgreSQL answers, the process has nothing to do. */
  readonly onFileSent?: ((isLast: boolean) => void) | undefined
  /** Called before the tool connects. */
  readonly onStarted?: (sessions: ToolSessions) => void
  /** Calls the listener when all sessions of the service are ended; returns a function that removes it. */
  readonly onEndAll?: ((listener: (reason: string) => void) => () => void) | undefined
  /** Looks in the database for what became of a migration that did not complete. */
  readonly inspect?: (migration: CommittedMigration) => Promise<Aftermath>
}

/** Longer than a session takes to be terminated that ignores the cancel, if the database answers. */
const CANCEL_LOST_MS = 3000
const UNKNOWN: Aftermath = { isApplied: undefined, unfinished: [] }

export { MigrationBlockedError, ToolLockBusyError, ToolSessionLostError } from './outcome.ts'

/**
 * Runs the migration tool, and returns a promise that resolves when its sessions have ended. If it fails or has to stop,
 * its session is canceled and the rollback waited for: closing its connections alone would leave the statement running.
 */
export async function runTool(options: RunnerOptions): Promise<{ ended: Promise<void> }> {
  const { settings, pool, log, signal } = options
  const pids = new Set<number>()
  const progress = createProgress(options)
  const tool = options.tool ?? prepareTool()
  const { applicationName } = tool
  const sessions = { application: applicationName, pids }
  options.onStarted?.(sessions)
  let hookError: unknown
  const noteError = (error: unknown) => {
    hookError = error
    throw error
  }
  try {
    const job = {
      ...settings,
      url: options.url,
      databaseName: options.databaseName,
      migrationsFolder: options.migrationsDir,
      firstFilename: options.pending[0]?.filename,
      lastFilename: options.pending.at(-1)?.filename,
      lockTimeoutMs: options.lockTimeoutMs,
      recordWaitMs: options.recordWaitMs ?? 0,
      beforeFirstFile: async () => options.beforeFirstFile?.().catch(noteError),
      beforeFirstCommit: async () => options.beforeFirstCommit?.().catch(noteError),
    }
    const run = (onMessage: (message: ToolMessage) => void) => tool.run(job, onMessage)
    const lossWatch = createLossWatch({ pool, onEndAll: options.onEndAll })
    const { onFileSent } = options
    const watch = { log, signal, progress, lossWatch, pids, onFileSent }
    const outcome = await waitForOutcome(run, watch)
    if (outcome.type === 'done') {
      progress.finish()
      return { ended: tool.ended() }
    }
    tool.stop()
    const migration = progress.current()
    // A tool that was refused a connection has no session.
    const hasSession = outcome.type !== 'failed' || !isConnectionRefusedForNow(outcome.error)
    const canceled = hasSession && cancelSessions(pool, sessions, log)
    // A database that does not answer is asked when it does.
    const isLost = outcome.type === 'lost'
    await (isLost ? Promise.race([canceled, sleep(CANCEL_LOST_MS)]) : canceled)
    if (hookError !== undefined) throw hookError
    const aftermath = isLost
      ? UNKNOWN
      : ((migration && (await options.inspect?.(migration))) ?? ROLLED_BACK)
    if (outcome.type === 'aborted' && migration !== undefined) {
      const { level, message } = describeStop(migration, aftermath)
      log[level]({ migration: migration.filename }, message)
    }
    throw outcomeError(outcome, migration, aftermath)
  } catch (error) {
    tool.stop()
    throw error
  }
}

/** What a stop did to the migration that was running, for the log. */
function describeStop(
  migration: CommittedMigration,
  aftermath: Aftermath,
): { level: 'info' | 'warn'; message: string } {
  if (aftermath.isApplied) return { level: 'info', message: 'migration applied before the stop' }
  const canceled = 'migration canceled, because the service is stopping'
  if (!migration.noTransaction && aftermath.isApplied === false) {
    return { level: 'info', message: canceled }
  }
  const message = `${canceled}; ${describeAftermath(migration, {}, aftermath)}`
  return { level: 'warn', message }
}
