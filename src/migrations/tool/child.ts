// Runs as a process of its own (see runner.ts), and is the only file that imports graphile-migrate.
// It calls `migrate` because the tool's command line prints errors as text, without PostgreSQL's
// context; docs/internals/decisions says what that costs.
import { Logger, migrate } from 'graphile-migrate'
import pg from 'pg'
import { SQLSTATE } from '../../postgres/sqlstate.ts'
import type { ToolError, ToolJob, ToolMessage } from './messages.ts'

let completedStatements: number | undefined
let hasCommitted = false
/** Why PostgreSQL ended the session; the tool itself only learns that the connection is gone. */
let fatalError: pg.DatabaseError | undefined

// The runner ends this process: a signal to the process group must not interrupt a migration.
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('disconnect', () => process.exit(1))
// If a backend is terminated while a migration runs, the error arrives here and not in the promise.
process.on('uncaughtException', (error) => finish({ type: 'failed', error: toToolError(error) }))
process.once('message', (job: ToolJob) => {
  run(job).then(
    () => finish({ type: 'done' }),
    (error) => finish({ type: 'failed', error: toToolError(error) }),
  )
})

async function run(job: ToolJob): Promise<void> {
  watchSessions()
  const logger = new Logger(() => (level, text) => send({ type: 'log', level, text }))
  await migrate({ ...job, logger })
}

/** The tool does not pass on what its sessions report, so it gets a pool that does. */
function watchSessions(): void {
  class WatchedPool extends pg.Pool {
    constructor(options?: pg.PoolConfig) {
      super(options)
      this.on('connect', (client) => {
        client.on('notice', ({ code, severity = 'NOTICE', message: text = '' }) => {
          // The tool's own commit or rollback, after a migration that ended its transaction.
          if (code !== SQLSTATE.noActiveSqlTransaction) send({ type: 'notice', severity, text })
        })
        watchStatements(client)
      })
    }
  }
  Object.assign(pg, { Pool: WatchedPool })
}

/**
 * Counts statements, because a script is sent as one query and an error without a position does not
 * say which of its statements failed. An error that also ends the transaction is one of the commit,
 * which belongs to no statement.
 */
function watchStatements(client: pg.PoolClient): void {
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
    if (error.severity === 'FATAL') fatalError = error
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

function toToolError(error: unknown): ToolError {
  const isFromPostgres = (error as Partial<pg.DatabaseError>).code !== undefined
  const reported = isFromPostgres ? error : (fatalError ?? error)
  const { message, code, detail, hint, where, position } = reported as Partial<pg.DatabaseError>
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

function send(message: ToolMessage, then = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, then)
}

/** Exits at once: the tool's pool would keep the process alive for another 200 ms. */
function finish(message: ToolMessage): void {
  send(message, () => process.exit(0))
}
