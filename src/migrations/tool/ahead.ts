import type { SessionClient } from '../../postgres/connection/client.ts'

/** One that has been idle for longer may have been forgotten by a firewall, without a word. */
const MAX_IDLE_MS = 30_000

/** A connection, or a session on one, that was begun before it was needed. */
export interface Ahead<T> {
  /** Returns it, if it was opened with this URL, is open, and was not idle for long. */
  take(url: string): Promise<T | undefined>
  /** Closes it, where nothing needs it any more. */
  close(): void
}

/** Begins to open one. If that fails, it is tried again when one is needed. `end` closes one that is not needed. */
export function openAhead<T extends { readonly client: SessionClient }>(
  url: string,
  open: () => Promise<T>,
  end: (it: T) => unknown,
): Ahead<T> {
  let isOpen = true
  const opened = open().then(
    (it) => {
      it.client.once('end', () => {
        isOpen = false
      })
      return { it, openedAt: performance.now() }
    },
    () => undefined,
  )
  const close = () => void opened.then((found) => found && end(found.it))
  return {
    async take(wanted) {
      const { it, openedAt = 0 } = (await opened) ?? {}
      if (isOpen && wanted === url && performance.now() - openedAt < MAX_IDLE_MS) return it
      close()
      return undefined
    },
    close,
  }
}
