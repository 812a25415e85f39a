import { ServiceError } from '../src/errors/service-error.ts'
import { onStopSignal } from '../src/signals.ts'

/**
 * Runs a development program and sets the exit code of the process. A signal aborts `stopping`; if
 * the program rejects with that, it ends with `stoppedExitCode`.
 */
export async function runProgram(
  program: (stopping: AbortController) => Promise<number>,
  stoppedExitCode: number,
): Promise<void> {
  const stopping = new AbortController()
  const { signal } = stopping
  onStopSignal(() => stopping.abort())
  try {
    process.exitCode = await program(stopping)
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      process.exitCode = stoppedExitCode
    } else if (error instanceof ServiceError) {
      process.stderr.write(`${error.message}\n`)
      process.exitCode = error.exitCode
    } else {
      throw error
    }
  }
}
