// Runs as a process of its own (see process.ts), and is the only file that imports graphile-migrate: the one
// command of it, because its index also loads a watcher of files and more that a start would wait for.
// It calls `migrate` because the tool's command line prints errors as text, without PostgreSQL's
// context; docs/internals/decisions says what that costs.
import { Logger } from '@graphile/logger'
import { migrate } from 'graphile-migrate/dist/commands/migrate.js'
import pg from 'pg'
import { type AheadConnection, connectAhead } from './connection.ts'
import { loadInspected } from './inspection.ts'
import {
  MAX_NOTICES,
  type ToolError,
  type ToolJob,
  type ToolMessage,
  type ToolRequest,
} from './messages.ts'
import { compareNumbersByCode, replaceLargeFiles } from './stand-ins.ts'
import { createToolPool, describeFailure, type ToolRun } from './tool-pool.ts'

let toolRun: ToolRun | undefined

// The runner ends this process: a signal to the process group must not interrupt a migration.
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('disconnect', () => process.exit(1))
process.on('uncaughtException', (error) => finish({ type: 'failed', error: toToolError(error) }))
let ahead: AheadConnection | undefined
process.on('message', (request: ToolRequest) => {
  if (request.type === 'connect') {
    ahead = connectAhead(request)
    return
  }
  run(request).then(
    () => finish({ type: 'done' }),
    (error) => finish({ type: 'failed', error: toToolError(error) }),
  )
})

async function run(job: ToolJob): Promise<void> {
  const state: ToolRun = {
    job,
    ahead,
    filename: undefined,
    phase: 'session',
    failure: undefined,
    largeFiles: replaceLargeFiles(job.migrationsFolder),
    inspected: loadInspected(),
    ...limitNotices(),
    onSession: (backendPid, isOpen) => send({ type: 'session', backendPid, isOpen }),
    onWaiting: (backendPid) => send({ type: 'waiting', backendPid }),
  }
  toolRun = state
  compareNumbersByCode()
  Object.assign(pg, { Pool: createToolPool(state) })
  const logger = new Logger(() => (level, text) => {
    state.filename = /Running migration '([^']+)'/.exec(text)?.[1] ?? state.filename
    send({ type: 'log', level, text })
  })
  const { placeholders, databaseOwner, manageGraphileMigrateSchema } = job
  await migrate({
    placeholders: { ...placeholders },
    ...(databaseOwner !== undefined && { databaseOwner }),
    ...(manageGraphileMigrateSchema !== undefined && { manageGraphileMigrateSchema }),
    migrationsFolder: job.migrationsFolder,
    // It connects through the pool, and reads only the database's name here: with any characters.
    connectionString: `socket:/?db=${encodeURIComponent(job.databaseName)}`,
    logger,
  })
}

/** Sends the first notices of each file, and how many there were beside them. */
function limitNotices(): Pick<ToolRun, 'onNotice' | 'onFileEnd'> {
  let count = 0
  return {
    onNotice(severity, text) {
      count++
      if (count <= MAX_NOTICES) send({ type: 'notice', severity, text })
    },
    onFileEnd() {
      if (count > MAX_NOTICES) send({ type: 'notices-omitted', count: count - MAX_NOTICES })
      count = 0
    },
  }
}

function toToolError(error: unknown): ToolError {
  return toolRun?.failure ?? describeFailure(error)
}

function send(message: ToolMessage, then = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, then)
}

/** Exits at once: open connections would keep the process alive. */
function finish(message: ToolMessage): void {
  send(message, () => process.exit(0))
}
