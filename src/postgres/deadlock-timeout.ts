import type { Queryable } from './client.ts'

/** Reads the server's `deadlock_timeout`, in ms. The view pg_settings would read all settings first. */
export async function readDeadlockTimeoutMs(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ timeoutMs: number }>(
    `select (extract(epoch from pg_catalog.current_setting('deadlock_timeout')::interval) * 1000)::integer
              as "timeoutMs"`,
  )
  return rows[0]?.timeoutMs ?? 0
}
