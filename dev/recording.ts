import { beginRecording, finishRecording } from '../src/baseline/recorder.ts'
import type { Queryable } from '../src/postgres/client.ts'
import type { DevelopmentDatabase } from './database.ts'
import { withClient } from './with-client.ts'

/** Records what `work` changes in the database and its history; what prevents that does not prevent the work. */
export async function recordChanges<T>(
  database: DevelopmentDatabase,
  work: () => Promise<T>,
): Promise<T> {
  await attempt(database, beginRecording)
  try {
    return await work()
  } finally {
    await attempt(database, finishRecording)
  }
}

async function attempt(
  { url }: DevelopmentDatabase,
  record: (client: Queryable) => Promise<unknown>,
): Promise<void> {
  try {
    await withClient(url, record)
  } catch {
    // Then /status and db:status say that drift is not known.
  }
}
