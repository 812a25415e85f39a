import { AsyncLocalStorage } from 'node:async_hooks'
import pg, { type DatabaseError } from 'pg'
import { applicationName } from '../../src/postgres/application-name.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { openSession } from '../../src/postgres/connection/session.ts'
import { NO_TIME_LIMITS } from '../../src/postgres/connection/time-limits.ts'

/** A text that failed, and how many of its statements had completed before. */
export interface FailedQuery {
  readonly sent: string
  readonly completed: number
  readonly error: unknown
}

export interface ToolSessions {
  /** Opens a session that nothing has used: see `openToolSession`. */
  readonly open: () => Promise<SessionClient>
  readonly onFailure: (failed: FailedQuery) => void
}

export interface ToolSessionOptions {
  readonly url: string
  /** How long a statement waits for a lock; 0: no limit. */
  readonly lockTimeoutMs: number
  /** Receives what `raise notice` says, but not the remarks of statements such as `drop … if exists`. */
  readonly onNotice: (text: string) => void
}

const { Pool } = pg
const sessionsOfRun = new AsyncLocalStorage<ToolSessions>()

/**
 * Runs `work` with graphile-migrate's sessions opened as the service opens its own: the tool would end this
 * process when an idle one is lost, and does not say which statement of a text failed.
 */
export async function withToolSessions<T>(
  sessions: ToolSessions,
  work: () => Promise<T>,
): Promise<T> {
  // The tool makes its pool by this name when it first connects. Everything else gets the driver's.
  Object.assign(pg, { Pool: createPool })
  return sessionsOfRun.run(sessions, work)
}

function createPool(this: unknown, config?: pg.PoolConfig): unknown {
  const sessions = sessionsOfRun.getStore()
  return sessions === undefined ? new Pool(config) : new ToolPool(sessions)
}

/** The part of a pool that the tool uses. Each session is used once, so what a text did to its own is gone. */
class ToolPool {
  readonly #sessions: ToolSessions

  constructor(sessions: ToolSessions) {
    this.#sessions = sessions
  }

  on(): void {}

  async connect(): Promise<SessionClient> {
    const client = await openObserved(this.#sessions)
    // Its transaction has ended by now, so nothing needs to wait until it is closed.
    return Object.assign(client, { release: () => void client.end() })
  }

  async end(): Promise<void> {}
}

/** Opens a session as the tool gets it: with the settings of the role and the database. */
export async function openToolSession({
  url,
  lockTimeoutMs,
  onNotice,
}: ToolSessionOptions): Promise<SessionClient> {
  const { client } = await openSession(url, {
    applicationName: applicationName('current.sql'),
    settings: { ...NO_TIME_LIMITS, lock_timeout: `${lockTimeoutMs}ms` },
  })
  client.on('notice', ({ message = '', where = '' }) => {
    if (where.includes('RAISE')) onNotice(message)
  })
  return client
}

async function openObserved({ open, onFailure }: ToolSessions): Promise<SessionClient> {
  const client = await open()
  let completed = 0
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  connection.on('commandComplete', () => {
    completed++
  })
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  return Object.assign(client, {
    async query(...args: [string | { readonly text: string }]) {
      const [first] = args
      completed = 0
      try {
        return await query(...args)
      } catch (error) {
        onFailure({ sent: typeof first === 'string' ? first : first.text, completed, error })
        throw error
      }
    },
  }) as SessionClient
}

/** Whether the tool gave up because another process migrates. It reports this without a code. */
export function isToolLockBusy(error: unknown): boolean {
  return error instanceof Error && error.message === 'Failed to get exclusive lock'
}

/** Whether an error is PostgreSQL's: these have a severity, the driver's and the tool's do not. */
export function isOfPostgres(error: unknown): boolean {
  return (error as DatabaseError).severity !== undefined
}
