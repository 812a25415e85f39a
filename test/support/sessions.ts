import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'

/** A session of a test, whose waiting for another session can be awaited. */
export interface Session {
  readonly query: PoolClient['query']
  /** The driver's, for what listens to it. */
  readonly client: PoolClient
  /** Of its server process. */
  readonly pid: number
  /**
   * Resolves once this session's statement waits for a lock that the other one has, or will get first. Rejects, with
   * who waits for whom, if the statement ends instead, or does not wait within 20 s.
   */
  waitsFor(other: Session): Promise<void>
}

const DEADLINE_MS = 20_000
const POLL_MS = 2

/** Makes a session of a connection; `pool` has others, to observe it. */
export function createSession(pool: Pool, client: PoolClient): Session {
  const { processID: pid } = client as PoolClient & { readonly processID: number }
  let running = 0

  // The driver's overloads return a promise for the forms that tests use.
  const query = async (...args: unknown[]) => {
    running++
    try {
      return await (client.query as (...args: unknown[]) => Promise<unknown>).apply(client, args)
    } finally {
      running--
    }
  }

  return {
    client,
    pid,
    query: query as unknown as PoolClient['query'],
    async waitsFor(other) {
      const deadline = Date.now() + DEADLINE_MS
      while (true) {
        const { rows } = await pool.query<{ waits: boolean }>(
          'select $2::int = any (pg_blocking_pids($1)) as waits',
          [pid, other.pid],
        )
        if (rows[0]?.waits) return
        const problem =
          running === 0
            ? 'no statement of it is running'
            : Date.now() > deadline && `it did not within ${DEADLINE_MS / 1000} s`
        if (problem) {
          const expected = `expected session ${pid} to wait for session ${other.pid}, but ${problem}`
          throw new Error([expected, ...(await describeSessions(pool))].join('\n  '))
        }
        await sleep(POLL_MS)
      }
    },
  }
}

/** Runs the work in a transaction on a session of its own, and rolls it back. */
export async function withTransaction<T>(
  pool: Pool,
  work: (session: Session) => Promise<T>,
  isolation = 'read committed',
): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query(`begin isolation level ${isolation}`)
    return await work(createSession(pool, client))
  } finally {
    await client.query('rollback')
    client.release()
  }
}

/** Resolves once a statement like that, in this database, waits for a lock; rejects as a session's `waitsFor`. */
export async function waitUntilBlocked(pool: Pool, statement: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  while (true) {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and query like $1 and wait_event_type = 'Lock'`,
      [`%${statement}%`],
    )
    if (rowCount !== 0) return
    if (Date.now() > deadline) {
      const expected = `expected a statement like ${statement} to wait for a lock within ${DEADLINE_MS / 1000} s`
      throw new Error([expected, ...(await describeSessions(pool))].join('\n  '))
    }
    await sleep(POLL_MS)
  }
}

/** Who waits for whom in this database, and for which lock; a line for each session. */
async function describeSessions(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `select format('%s %s%s: %s', pid, state,
                   ' and waits for ' || nullif(array_to_string(pg_blocking_pids(pid), ', '), '')
                     || (select string_agg(format(' (%s %s%s)', mode, locktype, ' on ' || relation.relname), '')
                           from pg_locks left join pg_class as relation on relation.oid =
                             -- Who waits for a row's transaction has locked the row's place in its table.
                             coalesce(pg_locks.relation, (select held.relation from pg_locks as held
                               where held.pid = activity.pid and held.locktype = 'tuple' and held.granted limit 1))
                          where pg_locks.pid = activity.pid and not pg_locks.granted),
                   left(regexp_replace(query, '\\s+', ' ', 'g'), 120)) as line
       from pg_stat_activity as activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
      order by pid`,
  )
  return rows.map(({ line }) => line)
}
