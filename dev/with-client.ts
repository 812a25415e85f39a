import { openClient } from '../src/postgres/client.ts'
import type { SessionClient } from '../src/postgres/connection/client.ts'

/** Opens a session for some work, and ends it. */
export async function withClient<T>(
  url: string,
  work: (client: SessionClient) => Promise<T>,
): Promise<T> {
  const client = await openClient(url, 'development')
  return work(client).finally(() => client.end())
}
