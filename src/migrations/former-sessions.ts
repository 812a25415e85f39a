import type { Queryable } from '../postgres/client.ts'

/** The sessions that held the migration lock before the database was lost. */
export interface FormerSessions {
  /** Remembers a session that got the lock; returns its backend. */
  note(session: Queryable): Promise<number>
  /**
   * Ends those that the server still has: it does not notice that a connection has gone silent, and
   * keeps the lock for a session that nobody uses any more.
   */
  end(session: Queryable): Promise<void>
}

interface Backend {
  readonly pid: number
  /** A pid is used again, by another session. */
  readonly startedAt: string
}

export function createFormerSessions(): FormerSessions {
  let backends: readonly Backend[] = []
  return {
    async note(session) {
      const { rows } = await session.query<Backend>(
        `select pid, backend_start::text as "startedAt"
           from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()`,
      )
      backends = [...backends, ...rows]
      return rows[0]?.pid ?? 0
    },
    async end(session) {
      for (const { pid, startedAt } of backends) {
        await session.query(
          `select pg_catalog.pg_terminate_backend(pid)
             from pg_catalog.pg_stat_activity
            where pid = $1 and backend_start = $2::timestamptz`,
          [pid, startedAt],
        )
      }
      backends = []
    },
  }
}
