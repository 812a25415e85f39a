// The only file that imports graphile-migrate: the one command of it, because its index also loads a watcher of
// files and more that a start would wait for. It calls `migrate` because the tool's command line prints errors as
// text, without PostgreSQL's context; docs/internals/decisions says what that costs.
import { Logger } from '@graphile/logger'
import { migrate } from 'graphile-migrate/dist/commands/migrate.js'
import { clearAllPools } from 'graphile-migrate/dist/pgReal.js'
import type { SessionClient } from '../../postgres/connection/client.ts'
import type { Ahead } from './ahead.ts'
import type { Connection } from './connection.ts'
import { loadInspected } from './inspection.ts'
import { MAX_NOTICES, type ToolEnd, type ToolJob, type ToolMessage } from './messages.ts'
import { standIn } from './stand-ins.ts'
import { createToolPool, describeFailure, type ToolRun } from './tool-pool.ts'

export interface MigrateOptions {
  readonly job: ToolJob
  readonly applicationName: string
  /** A connection for the first session. */
  readonly ahead: Ahead<Connection> | undefined
  /** Called with each connection before it is open. */
  readonly onClient: (client: SessionClient) => void
  readonly onMessage: (message: ToolMessage) => void
}

/** Runs graphile-migrate's `migrate`; resolves with how it ended, and never rejects. */
export async function runMigrate(options: MigrateOptions): Promise<ToolEnd> {
  const { job, onMessage } = options
  const run: ToolRun = {
    ...options,
    filename: undefined,
    phase: 'session',
    failure: undefined,
    largeFiles: new Map(),
    inspected: loadInspected(),
    ...limitNotices(onMessage),
    onSession: (backendPid, isOpen) => onMessage({ type: 'session', backendPid, isOpen }),
    onFileSent: (isLast) => onMessage({ type: 'file-sent', isLast }),
    onWaiting: (backendPid) => onMessage({ type: 'waiting', backendPid }),
  }
  const standIns = standIn({ ...job, pool: createToolPool(run), largeFiles: run.largeFiles })
  const logger = new Logger(() => (_level, text) => {
    run.filename = /Running migration '([^']+)'/.exec(text)?.[1] ?? run.filename
    onMessage({ type: 'log', text })
  })
  const { placeholders, databaseOwner, manageGraphileMigrateSchema } = job
  try {
    await migrate({
      placeholders: { ...placeholders },
      ...(databaseOwner !== undefined && { databaseOwner }),
      ...(manageGraphileMigrateSchema !== undefined && { manageGraphileMigrateSchema }),
      migrationsFolder: job.migrationsFolder,
      connectionString: standIns.connectionString,
      // Otherwise it reads the one of the environment.
      rootConnectionString: '',
      logger,
    })
    return { type: 'done' }
  } catch (error) {
    return { type: 'failed', error: run.failure ?? describeFailure(error) }
  } finally {
    standIns.remove()
    // It would keep the pool for a while, and the process alive for it.
    clearAllPools()
  }
}

/** Reports the first notices of each file, and how many there were beside them. */
function limitNotices(
  onMessage: MigrateOptions['onMessage'],
): Pick<ToolRun, 'onNotice' | 'onFileEnd'> {
  let count = 0
  return {
    onNotice(severity, text) {
      count++
      if (count <= MAX_NOTICES) onMessage({ type: 'notice', severity, text })
    },
    onFileEnd() {
      if (count > MAX_NOTICES) onMessage({ type: 'notices-omitted', count: count - MAX_NOTICES })
      count = 0
    },
  }
}
