import { setTimeout as sleep } from 'node:timers/promises'
import { MAX_IDLE_MS } from './connection.ts'
import type { Session } from './session.ts'

/** A session for the next file, opened while one still runs: a login takes longer than many files. */
export interface SpareSession {
  /**
   * Returns the session, which counts from now on, if it is as one that is opened now: `defaults` are the
   * settings with which sessions begin now. Otherwise it is closed.
   */
  take(defaults: string): Promise<Session | undefined>
  close(): Promise<void>
}

/**
 * Begins to open it. What goes wrong with it fails nothing: `open` is told that it does not count yet, and if
 * it cannot be used, `take` returns undefined.
 */
export function openSpareSession(open: (counts: () => boolean) => Promise<Session>): SpareSession {
  let isTaken = false
  const openedAt = performance.now()
  const opened = open(() => isTaken).catch(() => undefined)
  const close = async () => (await opened)?.end()
  return {
    async take(defaults) {
      const isOld = performance.now() - openedAt > MAX_IDLE_MS
      const session = isOld ? undefined : await opened
      if (session?.initial.defaults === defaults && (await isThere(session))) {
        isTaken = true
        return session
      }
      void close()
      return undefined
    },
    close,
  }
}

/** The server may have ended it, and a firewall may have forgotten it without a word. */
function isThere({ client }: Session): Promise<boolean> {
  const answer = client.query('select').then(
    () => true,
    () => false,
  )
  return Promise.race([answer, sleep(1000, false, { ref: false })])
}
