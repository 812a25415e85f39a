import { EXIT } from './errors/codes.ts'

/** npm forwards a signal that the terminal has already sent to the whole process group. */
const SAME_SIGNAL_MS = 500

/**
 * Calls `stop` on the first SIGTERM, SIGINT or SIGHUP (the terminal was closed). Signals that follow
 * at once count as the same one; a later one ends the process without waiting any longer.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): void {
  let firstAt: number | undefined
  const handle = (signal: NodeJS.Signals) => {
    const now = performance.now()
    if (firstAt === undefined) {
      firstAt = now
      stop(signal)
    } else if (now - firstAt > SAME_SIGNAL_MS) {
      process.exit(EXIT.unforeseen)
    }
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, handle)
}
