import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Pool } from 'pg'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { applicationName } from '../../postgres/application-name.ts'
import { isConnectionRefusedForNow } from '../../postgres/errors.ts'
import type { CommittedMigration } from '../files/committed.ts'
import type { ToolError, ToolJob, ToolMessage } from './child.ts'
import { describeFailure } from './failure.ts'
import type { ToolSettings } from './gmrc.ts'

export interface RunnerOptions {
  /** The database's; with the password. */
  readonly url: string
  readonly migrationsDir: string
  /** With every placeholder that the migrations may use. */
  readonly settings: ToolSettings
  readonly pending: readonly CommittedMigration[]
  /** A connection other than the tool's, over which its backend is canceled. */
  readonly pool: Pick<Pool, 'query'>
  readonly log: Log
  readonly signal: AbortSignal
  readonly nodeVariables: Readonly<Record<string, string>>
  readonly onProgress: (detail: string) => void
}

/** The tool found its own lock taken: somebody else has begun to migrate. */
export class ToolLockBusy extends Error {}

/** How a run of the tool ended. */
type Outcome =
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: ToolError }
  | { readonly type: 'died'; readonly how: string }
  | { readonly type: 'aborted' }

/**
 * Runs the migration tool in a process of its own, so that nothing it does can end the service, and
 * watches it. When it dies or has to be given up, its backend is canceled and the rollback waited
 * for: ending the tool alone would leave the statement running.
 */
export async function runTool(options: RunnerOptions): Promise<void> {
  const application = applicationName(`migration ${randomBytes(4).toString('hex')}`)
  const progress = createProgress(options)
  const child = fork(findToolFile(), [], {
    env: { ...options.nodeVariables },
    // What Node.js and pg have to say of the tool's ways, the service's own process has said, too.
    execArgv: ['--no-warnings'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  options.log.debug({ pid: child.pid }, 'migration tool started')
  try {
    child.send({
      ...options.settings,
      connectionString: withApplicationName(options.url, application),
      migrationsFolder: options.migrationsDir,
    } satisfies ToolJob)
    const outcome = await waitForOutcome(child, options, progress)
    if (outcome.type === 'done') return progress.finish()
    child.kill('SIGKILL')
    const migration = progress.current()
    const error = toError(outcome, migration, options)
    // Of a tool that was given no connection there is nothing to cancel.
    if (!isConnectionRefusedForNow(error)) await endBackend(options.pool, application, options.log)
    if (outcome.type === 'aborted' && migration !== undefined) {
      options.log.info({ migration: migration.filename }, 'migration canceled, for the stop')
    }
    throw error
  } finally {
    child.kill('SIGKILL')
  }
}

function waitForOutcome(
  child: ChildProcess,
  { log, signal }: RunnerOptions,
  progress: Progress,
): Promise<Outcome> {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => log.warn({ text }, 'migration tool printed'))
  }
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ type: 'aborted' }), { once: true })
    if (signal.aborted) resolve({ type: 'aborted' })
    child.on('error', (error) => resolve({ type: 'died', how: error.message }))
    child.on('exit', (code, killedBy) =>
      resolve({ type: 'died', how: killedBy ? `killed by ${killedBy}` : `exit code ${code}` }),
    )
    child.on('message', (message: ToolMessage) => {
      if (message.type === 'done' || message.type === 'failed') return resolve(message)
      if (message.type === 'log') {
        log.debug({ text: message.text }, 'migration tool')
        return progress.hear(message.text)
      }
      const migration = progress.current()?.filename
      if (migration === undefined) return log.debug({ notice: message.text }, 'migration tool')
      const level = message.severity === 'WARNING' ? 'warn' : 'info'
      log[level]({ migration, notice: message.text }, 'a migration says')
    })
  })
}

interface Progress {
  hear(text: string): void
  current(): CommittedMigration | undefined
  finish(): void
}

/** One log line for each migration. The tool names each file when it begins it, and no end. */
function createProgress({ pending, log, onProgress }: RunnerOptions): Progress {
  let index = -1
  let startedAt = performance.now()
  const finishCurrent = () => {
    const migration = pending[index]
    if (migration === undefined) return
    const durationMs = Math.round(performance.now() - startedAt)
    const progress = `${index + 1} of ${pending.length}`
    log.info({ migration: migration.filename, progress, durationMs }, 'migration applied')
  }
  return {
    hear(text) {
      const next = pending[index + 1]
      if (next === undefined || !text.includes(`'${next.filename}'`)) return
      finishCurrent()
      index++
      startedAt = performance.now()
      onProgress(`${next.filename}, ${index + 1} of ${pending.length}`)
    },
    current: () => pending[index],
    finish: finishCurrent,
  }
}

function toError(
  outcome: Exclude<Outcome, { type: 'done' }>,
  migration: CommittedMigration | undefined,
  { settings, signal }: RunnerOptions,
): unknown {
  if (outcome.type === 'aborted') return signal.reason
  if (outcome.type === 'failed') {
    if (!migration && /exclusive lock/.test(outcome.error.message)) return new ToolLockBusy()
    if (!migration && isConnectionRefusedForNow(outcome.error)) {
      return Object.assign(new Error(outcome.error.message), { code: outcome.error.code })
    }
    return describeFailure(migration, outcome.error, settings.placeholders)
  }
  return new ServiceError(
    'migration_interrupted',
    `the migration tool ended unexpectedly (${outcome.how})` +
      `${migration ? ` while it ran ${migration.filename}` : ''}; ` +
      (migration?.noTransaction
        ? 'that migration runs outside a transaction: look at what it has left behind'
        : 'what it had begun was rolled back; start the service again'),
    { extensions: { migration: migration?.filename } },
  )
}

/** Cancels the statement of a tool that is gone, and waits until its session has ended. */
async function endBackend(pool: Pick<Pool, 'query'>, application: string, log: Log): Promise<void> {
  const terminateAt = performance.now() + 1000
  try {
    while (true) {
      // What does not heed a cancel, such as a commit that waits for a standby, is terminated.
      const end = performance.now() < terminateAt ? 'pg_cancel_backend' : 'pg_terminate_backend'
      const { rowCount } = await pool.query(
        `select pg_catalog.${end}(pid)
           from pg_catalog.pg_stat_activity
          where application_name = $1 and datname = pg_catalog.current_database()`,
        [application],
      )
      if (rowCount === 0) return
      await sleep(20)
    }
  } catch (error) {
    log.warn({ err: error }, 'the migration could not be canceled, the database is not reached')
  }
}

function withApplicationName(url: string, application: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}application_name=${encodeURIComponent(application)}`
}

/** Beside this file, in the build and in a bundle; tests that run the source use the build's. */
function findToolFile(): string {
  const file = import.meta.url.endsWith('.ts')
    ? '../../../dist/src/migrations/tool/child.js'
    : './child.js'
  return fileURLToPath(new URL(file, import.meta.url))
}
