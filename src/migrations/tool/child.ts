// Run as a process of its own (see runner.ts): the only file that imports graphile-migrate. Its
// `migrate` function is used rather than its command line, which prints an error as text and leaves
// out the context that PostgreSQL gave; docs/internals/decisions says what that costs.
import { Logger, migrate } from 'graphile-migrate'
import pg from 'pg'
import type { ToolSettings } from './gmrc.ts'

/** What the runner asks for, as the one message that it sends. */
export interface ToolJob extends ToolSettings {
  /** Sent rather than given as an argument, which every user of the machine could read. */
  readonly connectionString: string
  readonly migrationsFolder: string
}

/** What PostgreSQL or the tool said of a failure; never the place in PostgreSQL's own source. */
export interface ToolError {
  readonly message: string
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** Counted in characters from 1, in the text with its placeholders replaced. */
  readonly position?: string
  /** How many statements of the failing text had been completed. */
  readonly completedStatements?: number
  /** The failing text had committed by itself before. */
  readonly hasCommitted?: boolean
}

export type ToolMessage =
  | { readonly type: 'log'; readonly level: string; readonly text: string }
  | { readonly type: 'notice'; readonly severity: string; readonly text: string }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: ToolError }

/** Said to the tool's own commit or rollback, after a migration that has ended its transaction. */
const NO_TRANSACTION = '25P01'

let completedStatements: number | undefined
let hasCommitted = false
/** The last words of a session that PostgreSQL ended; the tool only hears that it is gone. */
let lastWords: pg.DatabaseError | undefined

// The runner decides when this process ends: a signal to the process group must not cut a migration.
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('disconnect', () => process.exit(1))
// A backend that is ended while a migration runs surfaces here, not as the tool's own error.
process.on('uncaughtException', (error) => finish({ type: 'failed', error: pickError(error) }))
process.once('message', (job: ToolJob) => {
  run(job).then(
    () => finish({ type: 'done' }),
    (error) => finish({ type: 'failed', error: pickError(error) }),
  )
})

async function run(job: ToolJob): Promise<void> {
  watchSessions()
  const logger = new Logger(() => (level, text) => tell({ type: 'log', level, text }))
  await migrate({ ...job, logger })
}

/** The tool has no way to hear what its sessions say, so it is given a pool that listens. */
function watchSessions(): void {
  class WatchedPool extends pg.Pool {
    constructor(options?: pg.PoolConfig) {
      super(options)
      this.on('connect', (client) => {
        client.on('notice', ({ code, severity = 'NOTICE', message: text = '' }) => {
          if (code !== NO_TRANSACTION) tell({ type: 'notice', severity, text })
        })
        countStatements(client)
      })
    }
  }
  Object.assign(pg, { Pool: WatchedPool })
}

/**
 * A script is sent as one query, and an error without position does not say where in it. An error
 * that takes the session out of its transaction came with the commit, from no statement at all.
 */
function countStatements(client: pg.PoolClient): void {
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  let status = 'I'
  let completed = 0
  let commits = 0
  let failedAfter: number | undefined
  connection.on('commandComplete', ({ text }: { text: string }) => {
    completed++
    if (text === 'COMMIT') commits++
  })
  connection.on('errorMessage', (error: pg.DatabaseError) => {
    failedAfter = completed
    hasCommitted = commits > 0
    if (error.severity === 'FATAL') lastWords = error
  })
  connection.on('readyForQuery', (ready: { status: string }) => {
    if (failedAfter !== undefined) {
      const isFailedCommit = status === 'T' && ready.status === 'I' && commits === 0
      completedStatements = isFailedCommit ? undefined : failedAfter
    }
    status = ready.status
    completed = 0
    commits = 0
    failedAfter = undefined
  })
}

function pickError(error: unknown): ToolError {
  const isPostgres = (error as Partial<pg.DatabaseError>).code !== undefined
  const said = isPostgres ? error : (lastWords ?? error)
  const { message, code, detail, hint, where, position } = said as Partial<pg.DatabaseError>
  return {
    message: message ?? String(error),
    ...(code !== undefined && { code }),
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
    ...(where !== undefined && { where }),
    ...(position !== undefined && { position }),
    ...(completedStatements !== undefined && { completedStatements }),
    ...(hasCommitted && { hasCommitted }),
  }
}

function tell(message: ToolMessage, then = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, then)
}

/** Ends at once: the tool's pool would keep the process alive for another 200 ms. */
function finish(message: ToolMessage): void {
  tell(message, () => process.exit(0))
}
