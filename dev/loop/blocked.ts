import { type Blocker, describeBlockers, watchBlockers } from '../../src/migrations/blockers.ts'
import { applicationName } from '../../src/postgres/application-name.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { SQLSTATE } from '../../src/postgres/sqlstate.ts'
import type { Failure } from './failure.ts'

export interface BlockedOptions {
  /** Not a session that waits. */
  readonly client: Queryable
  readonly open: () => Promise<SessionClient>
  /** How long a statement waits for a lock; 0: no limit. */
  readonly lockTimeoutMs: number
  readonly note: (text: string) => void
}

/**
 * Runs `work` with watched sessions: after a while, the session that blocks a statement is noted once, and it is the
 * detail of a failure by the lock timeout.
 */
export async function nameBlockers<T extends { readonly failure?: Failure }>(
  { client, open, lockTimeoutMs, note }: BlockedOptions,
  work: (open: () => Promise<SessionClient>) => Promise<T>,
): Promise<T> {
  const pids = new Set<number>()
  let last: readonly Blocker[] = []
  const stop = watchBlockers({
    client,
    waiting: { application: applicationName('current.sql'), pids },
    longestWaitMs: lockTimeoutMs,
    onChange(blockers) {
      if (blockers.length === 0) return
      if (last.length === 0) note(`waiting for a lock: ${describeBlockers(blockers)}`)
      last = blockers
    },
  })
  try {
    const result = await work(async () => {
      const session = await open()
      if (session.announcedPid !== null) pids.add(session.announcedPid)
      return session
    })
    const { failure } = result
    if (failure?.code !== SQLSTATE.lockNotAvailable || last.length === 0) return result
    return { ...result, failure: { ...failure, detail: `blocked by ${describeBlockers(last)}` } }
  } finally {
    stop()
  }
}
