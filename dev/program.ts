import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { onStopSignal } from '../src/signals.ts'
import { describeLostConnection, describeUnforeseen } from './lost-connection.ts'

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
  } catch (thrown) {
    const error = describeLostConnection(thrown) ?? thrown
    if (signal.aborted && error === signal.reason) {
      process.exitCode = stoppedExitCode
    } else if (error instanceof ServiceError) {
      process.stderr.write(`${error.message}\n`)
      process.exitCode = error.exitCode
    } else {
      process.stderr.write(`${describeUnforeseen(error)}\n`)
      process.exitCode = EXIT.unforeseen
    }
  }
}
