import { setTimeout as sleep } from 'node:timers/promises'

/** How long a request waits for the database before it gets the last known facts. */
const READ_TIMEOUT_MS = 2000

/**
 * Creates a reader of facts that never waits long: concurrent requests share one read, and a request that
 * has waited for two seconds, or whose read failed, gets what was found last, at first `initial`. The
 * database is undefined where it cannot be reached. Facts younger than `maxAgeMs` are not read again.
 */
export function createLastKnown<Database, Facts>(
  initial: Facts,
  read: (database: Database) => Promise<Facts>,
  { maxAgeMs = 0 } = {},
): (database: Database | undefined) => Promise<Facts> {
  let facts = initial
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  const refresh = (database: Database) => {
    reading ??= read(database)
      .then(
        (found) => {
          facts = found
          readAt = performance.now()
        },
        () => {},
      )
      .finally(() => {
        reading = undefined
      })
    return reading
  }

  return async (database) => {
    if (database !== undefined && performance.now() - readAt >= maxAgeMs) {
      await Promise.race([refresh(database), sleep(READ_TIMEOUT_MS, undefined, { ref: false })])
    }
    return facts
  }
}
