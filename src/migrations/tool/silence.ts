import type { Socket } from 'node:net'
import type { Queryable } from '../../postgres/client.ts'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { findIdleBackends, SUSPICIOUS_MS } from '../../postgres/idle-backends.ts'

/**
 * Calls `onWaiting` once a second while a statement runs and for two nothing has arrived, and nothing more
 * of it was sent: a large file may take longer than that to be sent.
 */
export function reportWaiting(
  client: SessionClient,
  onWaiting: (pid: number) => void,
  { intervalMs, suspiciousMs } = { intervalMs: 1000, suspiciousMs: SUSPICIOUS_MS },
): void {
  const state = client as unknown as {
    readonly readyForQuery: boolean
    readonly connection: { readonly stream: Socket }
  }
  let heardAt = performance.now()
  const hear = () => {
    heardAt = performance.now()
  }
  const { stream } = state.connection
  stream.on('data', hear)
  let sent = 0
  const timer = setInterval(() => {
    if (state.readyForQuery || countSent(stream) !== sent) hear()
    sent = countSent(stream)
    const isSuspicious = performance.now() - heardAt > suspiciousMs
    if (isSuspicious && client.backendPid !== undefined) onWaiting(client.backendPid)
  }, intervalMs)
  timer.unref()
  client.once('end', () => clearInterval(timer))
}

/** How much the server's machine has taken; what still waits in this process is not sent. */
function countSent({ bytesWritten, writableLength }: Socket): number {
  return bytesWritten - writableLength
}

export interface LossWatchOptions {
  readonly pool: Queryable
  /** Adds a listener for the loss of all sessions; returns a function that removes it. */
  readonly onEndAll?: ((listener: (reason: string) => void) => () => void) | undefined
}

/** Notices that the tool waits for an answer that will not come. */
export interface LossWatch {
  onLost(listener: (reason: string) => void): void
  /** The tool waits: asks the server, in another session, whether this backend has anything to do. */
  check(backendPid: number): void
  stop(): void
}

export function createLossWatch({ pool, onEndAll }: LossWatchOptions): LossWatch {
  let report = (_reason: string) => {}
  let isChecking = false
  const remove = onEndAll?.((reason) => report(reason))

  return {
    onLost(listener) {
      report = listener
    },
    check(backendPid) {
      if (isChecking) return
      isChecking = true
      findIdleBackends(pool, [backendPid])
        .then((idle) => {
          if (idle.has(backendPid))
            report("the database no longer answers in the migration's session")
        })
        // Whatever is wrong with the database shows where it is used.
        .catch(() => {})
        .finally(() => {
          isChecking = false
        })
    },
    stop() {
      remove?.()
    },
  }
}
