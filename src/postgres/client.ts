import pg from 'pg'
import { applicationName } from './application-name.ts'
import { createConnectionConfig } from './pool.ts'

/** Runs statements: a client, or a pool where any connection will do. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** Opens one connection outside the pool; operators see `purpose` in pg_stat_activity. */
export async function openClient(
  url: string,
  purpose: string,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<pg.Client> {
  const client = new pg.Client({
    ...createConnectionConfig(url, {
      applicationName: applicationName(purpose),
      ...(timeoutMs !== undefined && { connectTimeoutMs: timeoutMs }),
    }),
    ...(timeoutMs !== undefined && { query_timeout: timeoutMs }),
  })
  // Without a listener, losing an idle connection would end the process.
  client.on('error', () => {})
  await client.connect()
  return client
}
