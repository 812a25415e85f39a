import pg from 'pg'
import { SERVICE } from '../version.ts'
import { createConnectionConfig } from './pool.ts'

/** What a statement needs: a client, or a pool where any connection will do. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** Opens one connection outside the pool, named so that an operator sees what it is for. */
export async function openClient(
  url: string,
  purpose: string,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<pg.Client> {
  const applicationName = `${SERVICE.name} ${purpose}`
  const client = new pg.Client({
    ...createConnectionConfig(url, {
      applicationName,
      ...(timeoutMs !== undefined && { connectTimeoutMs: timeoutMs }),
    }),
    ...(timeoutMs !== undefined && { query_timeout: timeoutMs }),
  })
  // Without a listener, a connection that breaks while it is idle would end the process.
  client.on('error', () => {})
  await client.connect()
  return client
}
