import type { Queryable } from '../postgres/client.ts'
import { isBlocked } from '../postgres/errors.ts'
import { type HistoryFingerprint, readFingerprint } from './history-fingerprint.ts'

/**
 * Says how the history in the database differs from what is expected of its beginning; undefined if it
 * does not. A newer version may have applied more. `locked` if another session keeps it from being read.
 */
export async function findHistoryProblem(
  client: Queryable,
  { count, fingerprint }: HistoryFingerprint,
): Promise<string | undefined | 'locked'> {
  if (count === 0) return undefined
  const found = await readUnlessBlocked(client, count)
  if (found === 'locked') return found
  if (found.fingerprint === fingerprint) return undefined
  return found.count < count
    ? `the database has ${found.count} of ${count} migrations: another service may be rebuilding it; ` +
        'if not, restart this service to apply them'
    : 'the database has other migrations than those that were applied to it: restart the service'
}

async function readUnlessBlocked(
  client: Queryable,
  count: number,
): Promise<HistoryFingerprint | 'locked'> {
  try {
    return await readFingerprint(client, count)
  } catch (error) {
    if (isBlocked(error)) return 'locked'
    throw error
  }
}
