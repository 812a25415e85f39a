import type { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import {
  isAdminShutdown,
  isBlocked,
  isConnectionLost,
  isConnectionRefusedForNow,
  isTimeLimit,
} from '../../postgres/errors.ts'
import type { CommittedMigration } from '../files/migration.ts'
import { type Aftermath, migrationFailedError } from './failure.ts'
import type { ToolEnd, ToolError, ToolMessage } from './messages.ts'
import type { Progress } from './progress.ts'
import { wrongPgSettingError } from './settings.ts'
import type { LossWatch } from './silence.ts'

/** Another session holds graphile-migrate's own lock: it has started to migrate. */
export class ToolLockBusyError extends Error {}

/** A migration did not get its locks, or was a deadlock's victim, and was rolled back. */
export class MigrationBlockedError extends Error {
  readonly migration: CommittedMigration
  /** To be reported if the migration is not tried again. */
  readonly failure: ServiceError

  constructor(migration: CommittedMigration, failure: ServiceError) {
    super(failure.message)
    this.migration = migration
    this.failure = failure
  }
}

/** The tool lost its session, so the history has to say what was applied. */
export class ToolSessionLostError extends Error {
  /** To be reported if only that session was ended, and the migration was rolled back. */
  readonly failure: ServiceError
  /** An administrator ended the session, or the server is going down. */
  readonly wasEnded: boolean
  readonly isApplied: boolean

  constructor(message: string, options: Omit<ToolSessionLostError, keyof Error>) {
    super(message)
    this.failure = options.failure
    this.wasEnded = options.wasEnded
    this.isApplied = options.isApplied
  }
}

/** How a run of the tool ended. */
export type Outcome =
  | ToolEnd
  | { readonly type: 'lost'; readonly error: ToolError }
  | { readonly type: 'aborted'; readonly reason: unknown }

export interface WatchOptions {
  readonly log: Log
  readonly signal: AbortSignal
  readonly progress: Progress
  readonly lossWatch: LossWatch
  /** Kept up to date with what the tool reports. */
  readonly pids: Set<number>
  readonly onFileSent?: ((isLast: boolean) => void) | undefined
}

/** Logs what the run reports, and resolves when it is done, has failed, has lost its session or is to stop. */
export async function waitForOutcome(
  run: (onMessage: (message: ToolMessage) => void) => Promise<ToolEnd>,
  { log, signal, progress, lossWatch, pids, onFileSent = () => {} }: WatchOptions,
): Promise<Outcome> {
  let isOver = false
  let abort = () => {}
  const onMessage = (message: ToolMessage) => {
    if (message.type === 'session') {
      if (message.isOpen) pids.add(message.backendPid)
      // After a stop, a connection that has closed says nothing of its backend.
      else if (!isOver) pids.delete(message.backendPid)
    } else if (isOver) return
    else if (message.type === 'file-sent') onFileSent(message.isLast)
    else if (message.type === 'waiting') lossWatch.check(message.backendPid)
    else logMessage(message, log, progress)
  }
  const outcome = new Promise<Outcome>((resolve, reject) => {
    abort = () => resolve({ type: 'aborted', reason: signal.reason })
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    lossWatch.onLost((message) =>
      resolve({ type: 'lost', error: { message, code: 'ENOANSWER', phase: 'file' } }),
    )
    run(onMessage).then(resolve, reject)
  })
  return outcome.finally(() => {
    isOver = true
    signal.removeEventListener('abort', abort)
    lossWatch.stop()
  })
}

function logMessage(
  message: Extract<ToolMessage, { type: 'log' | 'notice' | 'notices-omitted' }>,
  log: Log,
  progress: Progress,
): void {
  const migration = progress.current()?.filename
  if (message.type === 'log') {
    log.debug({ text: message.text }, 'migration tool')
    progress.readLogLine(message.text)
  } else if (message.type === 'notices-omitted') {
    const { count } = message
    log.info({ migration, count }, 'further notices from a migration, not logged')
  } else {
    const level = message.severity === 'WARNING' ? 'warn' : 'info'
    log[level]({ migration, notice: message.text }, 'notice from a migration')
  }
}

/** The error for a run that did not complete. `migration` is the one that was running, if any. */
export function outcomeError(
  outcome: Exclude<Outcome, { type: 'done' }>,
  migration: CommittedMigration | undefined,
  aftermath: Aftermath,
): unknown {
  if (outcome.type === 'aborted') return outcome.reason
  const { message, code, phase, setting, hasCommitted } = outcome.error
  if (setting !== undefined) return wrongPgSettingError(setting, message)
  const error = Object.assign(new Error(message), { code })
  // The file's session could not be prepared: nothing of the file was run.
  if (migration === undefined || phase === 'session') {
    // The tool reports this without a code.
    if (/exclusive lock/.test(message)) return new ToolLockBusyError(message)
    if (isConnectionRefusedForNow(error) || isConnectionLost(error) || isBlocked(error)) {
      return error
    }
  }
  const fail = (errorCode?: 'lock_timeout') =>
    migrationFailedError(migration, outcome.error, {
      aftermath,
      ...(errorCode && { code: errorCode }),
    })
  if (migration === undefined || isTimeLimit(error)) return fail()
  if (isConnectionLost(error)) {
    return new ToolSessionLostError(message, {
      failure: fail(),
      wasEnded: isAdminShutdown(error),
      isApplied: aftermath.isApplied === true,
    })
  }
  const isRetried = isBlocked(error) && !migration.noTransaction && !hasCommitted
  return isRetried ? new MigrationBlockedError(migration, fail('lock_timeout')) : fail()
}
