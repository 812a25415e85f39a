import type { SessionClient } from '../../src/postgres/connection/client.ts'

/** Sessions that are opened before they are needed: opening one takes longer than the work in it. */
export interface SpareSessions {
  /** Returns a session that nothing has used. Opens one if no spare one is left. */
  take(): Promise<SessionClient>
  /** Opens as many as a run takes, in the background. */
  refill(): void
  /** Ends those that are left or being opened, which lack settings of the role or the database that were changed since. */
  discard(): Promise<void>
}

/** As many as graphile-migrate opens to apply `current.sql`. */
const SPARE = 3

/** Creates a stock of sessions; it is empty until it is refilled. */
export function createSpareSessions(open: () => Promise<SessionClient>): SpareSessions {
  const spare = new Set<SessionClient>()
  const opening = new Set<Promise<void>>()

  async function add(): Promise<void> {
    try {
      const client = await open()
      spare.add(client)
      client.once('end', () => spare.delete(client))
    } catch {
      // The run that needs one opens it, and reports why it cannot.
    }
  }

  return {
    async take() {
      const [client] = spare
      if (client === undefined) return open()
      spare.delete(client)
      return client
    },
    refill() {
      for (let count = spare.size + opening.size; count < SPARE; count++) {
        const added = add().finally(() => opening.delete(added))
        opening.add(added)
      }
    },
    async discard() {
      await Promise.all(opening)
      const clients = [...spare]
      spare.clear()
      await Promise.all(clients.map((client) => client.end()))
    },
  }
}
