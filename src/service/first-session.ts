import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../logger.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import { type ServerFacts, type SessionLimits, waitForSession } from '../postgres/wait.ts'

export interface FirstSessionOptions {
  readonly config: Pick<Config, 'databaseWaitMs'>
  readonly database: Pick<Database, 'url' | 'sessions'>
  readonly log: Log
  /** Ends the attempt and the wait; the promises reject with the signal's reason. */
  readonly signal: AbortSignal
  /** Receives what the wait is for. */
  readonly onWait: (detail: string) => void
}

/** The session that reaches the database, and that then acquires the migration lock. */
export interface FirstSession {
  /** Waits until the database is reached, for DATABASE_WAIT_SECONDS; rejects as `waitForSession` does. */
  wait(): Promise<ServerFacts & { readonly client: SessionClient }>
  /** Closes the session, where nothing waits for it any more. */
  abandon(): void
}

/**
 * Begins to connect. Until `wait` is called nothing is done in the session, and nothing is reported: so
 * the port can be opened meanwhile, which takes about as long.
 */
export function openFirstSession(options: FirstSessionOptions): FirstSession {
  const { config, database, log, signal, onWait } = options
  const open = (limits: SessionLimits) => database.sessions.openFirst('lock', limits)
  const early = open({ timeoutMs: config.databaseWaitMs, signal })
  early.catch(() => {})
  let attempt: typeof early | undefined = early
  return {
    wait: () =>
      waitForSession(() => database.url, {
        waitMs: config.databaseWaitMs,
        open(limits) {
          const opened = attempt ?? open(limits)
          attempt = undefined
          return opened
        },
        ...{ log, signal, onWait },
      }),
    abandon() {
      early.then(
        ({ client }) => client.end(),
        () => {},
      )
    },
  }
}
