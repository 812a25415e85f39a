import { constants, fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import pino, { type BaseLogger, type DestinationStream, type Logger } from 'pino'
import type { Config } from './config/config.ts'
import { maskLine } from './config/redact.ts'
import { ServiceError } from './errors/service-error.ts'

const { S_IFMT, S_IFIFO, S_IFSOCK } = constants
const STDOUT = 1

/** The part of pino that the service uses. */
export type Log = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>

/** Turns a JSON line of the log into what is written instead. */
export type LineFormat = (line: string) => string

/** On a terminal the log is for people; a program gets JSON, and loads nothing for that. */
export async function loadLineFormat(): Promise<LineFormat | undefined> {
  if (!isatty(STDOUT)) return undefined
  const { createReadableFormat } = await import('./logger/readable.ts')
  // Node.js knows NO_COLOR, FORCE_COLOR and what the terminal can do.
  return createReadableFormat({ color: process.stdout.hasColors() })
}

/**
 * Creates the log on standard output: JSON lines, unless there is a format. Every line passes the mask
 * before it is formatted and written, so no caller can log a secret.
 */
export function createLogger(
  level: Config['logLevel'],
  mask: (text: string) => string,
  format: LineFormat = (line) => line,
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: (line) => format(maskLine(line, mask)) },
    },
    createDestination(),
  )
}

/** What is kept of a log that nobody reads; more lines are dropped, and counted. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** Waits until the reader of the log has taken every line, but not for one that does not read. */
export async function flushLog(limitMs = 500): Promise<void> {
  if (!isPipe() || process.stdout.writableLength === 0) return
  await new Promise<void>((resolve) => {
    setTimeout(resolve, limitMs)
    process.stdout.write('', () => resolve())
  })
}

function createDestination(): DestinationStream {
  // Synchronous, because the last line before the process ends must not be lost.
  if (!isPipe()) return pino.destination({ fd: STDOUT, sync: true })
  // A pipe that is not read would stop the process. Node.js writes at once what fits into it.
  const { stdout } = process
  let dropped = 0
  // Without a listener each line would be an error that nothing handles, and that would be logged.
  if (!stdout.listeners('error').includes(ignoreLostReader)) stdout.on('error', ignoreLostReader)
  return {
    write(line) {
      if (stdout.writableLength > MAX_UNREAD_BYTES) {
        dropped++
        return
      }
      if (dropped > 0) {
        const time = new Date().toISOString()
        const msg = 'lines of the log were dropped, because it was not read'
        stdout.write(`${JSON.stringify({ level: 'warn', time, dropped, msg })}\n`)
        dropped = 0
      }
      stdout.write(line)
    },
  }
}

/** A reader of the log that has gone does not end the service. */
function ignoreLostReader(): void {}

function isPipe(): boolean {
  const { mode } = fstatSync(STDOUT)
  return (mode & S_IFMT) === S_IFIFO || (mode & S_IFMT) === S_IFSOCK
}

/** The message of a foreseen error says everything; any other error is logged with its stack. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  const { message, name: type } = error
  if (error instanceof ServiceError) return { type, code, message, ...error.extensions }
  const described = { type, code, message, stack: error.stack }
  return cause === undefined ? described : { ...described, cause: describeError(cause) }
}
