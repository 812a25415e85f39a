import pino, { type BaseLogger, type Logger } from 'pino'
import type { Config } from './config/config.ts'
import { maskLine } from './config/redact.ts'
import { ServiceError } from './errors/service-error.ts'

/** The part of pino that the service uses. */
export type Log = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>

/**
 * Creates the log: JSON lines on standard output. Every line passes the mask before it is written, so
 * no caller can log a secret.
 */
export function createLogger(level: Config['logLevel'], mask: (text: string) => string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: (line) => maskLine(line, mask) },
    },
    // Synchronous, because the last line before the process ends must not be lost.
    pino.destination({ fd: 1, sync: true }),
  )
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
