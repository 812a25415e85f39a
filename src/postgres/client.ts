import type pg from 'pg'
import { applicationName } from './application-name.ts'
import type { SessionClient } from './connection/client.ts'
import { type ConnectionTarget, openSession, type SessionOptions } from './connection/session.ts'
import { SERVICE_SESSION } from './service-session.ts'

/** Runs statements: a client, or a pool where any connection will do. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** Opens one session of the service's own; operators see `purpose` in pg_stat_activity. */
export async function openClient(
  target: ConnectionTarget,
  purpose: string,
  { timeoutMs, ...options }: Omit<SessionOptions, 'applicationName' | 'queryTimeoutMs'> = {},
): Promise<SessionClient> {
  const { client } = await openSession(target, {
    settings: SERVICE_SESSION,
    ...options,
    applicationName: applicationName(purpose),
    ...(timeoutMs !== undefined && { timeoutMs, queryTimeoutMs: timeoutMs }),
  })
  return client
}
