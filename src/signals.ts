import { EXIT } from './errors/codes.ts'

/** npm passes on what the terminal has already sent to the whole process group. */
const SAME_SIGNAL_MS = 500

/**
 * Calls `stop` with the first SIGTERM, SIGINT or SIGHUP (a terminal that is closed). What follows at once is the same request; a later
 * signal is somebody who does not want to wait, and ends the process with no more ado.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): void {
  let firstAt: number | undefined
  const hear = (signal: NodeJS.Signals) => {
    const now = performance.now()
    if (firstAt === undefined) {
      firstAt = now
      stop(signal)
    } else if (now - firstAt > SAME_SIGNAL_MS) {
      process.exit(EXIT.unforeseen)
    }
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, hear)
}
