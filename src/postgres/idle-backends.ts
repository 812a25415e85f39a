import type { Queryable } from './client.ts'

/** A shorter wait for an answer is not looked into. */
export const SUSPICIOUS_MS = 2000

/**
 * Returns which of these backends have nothing to do, or are gone. A session that waits for one of them
 * waits for an answer that was lost. `client` is another session.
 */
export async function findIdleBackends(
  client: Queryable,
  pids: readonly number[],
): Promise<ReadonlySet<number>> {
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_catalog.pg_stat_activity
      where pid = any ($1)
        and (state = 'active' or pg_catalog.clock_timestamp() - state_change < interval '1 second')`,
    [pids],
  )
  const busy = new Set(rows.map(({ pid }) => pid))
  return new Set(pids.filter((pid) => !busy.has(pid)))
}
