import { beginRecording, finishRecording } from '../src/baseline/recorder.ts'
import { openClient } from '../src/postgres/client.ts'
import type { DevelopmentDatabase } from './database.ts'

/** Records what `work` changes in the database and its history; what prevents that does not prevent the work. */
export async function recordChanges<T>(
  database: DevelopmentDatabase,
  work: () => Promise<T>,
): Promise<T> {
  await withClient(database, beginRecording)
  try {
    return await work()
  } finally {
    await withClient(database, finishRecording)
  }
}

async function withClient(
  database: DevelopmentDatabase,
  record: (client: Awaited<ReturnType<typeof openClient>>) => Promise<unknown>,
): Promise<void> {
  try {
    const client = await openClient(database.url, 'development')
    await record(client).finally(() => client.end())
  } catch {
    // Then drift is not known, and says so.
  }
}
