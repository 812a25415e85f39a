import { EXIT, type ExitCode } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'

export interface EndingOptions {
  readonly log: Log & Record<'fatal', Log['error']>
  /** A stop that takes longer ends with exit code 1. */
  readonly shutdownMs: number
  /** Runs once, before the signal aborts. */
  readonly onStop: () => void
  /** Closes everything; the service has ended once it resolves. */
  readonly close: () => Promise<void>
}

/** The end of the service: why it comes, and how long it may take. */
export interface Ending {
  /** Aborts when the stop begins. */
  readonly signal: AbortSignal
  readonly exitCode: Promise<ExitCode>
  /** Begins the stop; later calls are ignored. */
  begin(exitCode: ExitCode): void
  /** Logs an error and begins the stop with its exit code. */
  fail(error: unknown): void
}

export function createEnding({ log, shutdownMs, onStop, close }: EndingOptions): Ending {
  const stopping = new AbortController()
  const { signal } = stopping
  let finish: (exitCode: ExitCode) => void
  const exitCode = new Promise<ExitCode>((resolve) => {
    finish = resolve
  })

  function begin(code: ExitCode): void {
    if (signal.aborted) return
    const timeout = setTimeout(() => {
      log.error({ shutdownMs }, 'not stopped in time (SHUTDOWN_SECONDS)')
      finish(EXIT.unforeseen)
    }, shutdownMs)
    onStop()
    stopping.abort()
    close()
      .then(
        () => {
          log.info({ exitCode: code }, 'stopped')
          finish(code)
        },
        (error) => {
          log.fatal({ err: error }, 'the service could not close everything')
          finish(EXIT.unforeseen)
        },
      )
      .finally(() => clearTimeout(timeout))
  }

  return {
    signal,
    exitCode,
    begin,
    fail(error) {
      // What the stop itself interrupted is not an error.
      if (signal.aborted && error === signal.reason) return
      log.fatal({ err: error }, 'exiting')
      begin(error instanceof ServiceError ? error.exitCode : EXIT.unforeseen)
    },
  }
}
