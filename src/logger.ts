import pino, { type BaseLogger, type Logger } from 'pino'
import type { Config } from './config/config.ts'
import { ServiceError } from './errors/service-error.ts'

/** What the parts of the service need of pino: sentences with data. */
export type Log = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>

/**
 * Creates the one log, JSON lines on standard output. Every line passes the mask before it is
 * written, so that no secret can appear, whoever logs what.
 */
export function createLogger(level: Config['logLevel'], mask: (text: string) => string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: mask },
    },
    // Synchronous: the last line before the process ends is the one that is needed.
    pino.destination({ fd: 1, sync: true }),
  )
}

/** An error that was foreseen says all in its message; of another one, the stack is wanted too. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  const { message, name: type } = error
  if (error instanceof ServiceError) return { type, code, message, ...error.extensions }
  const described = { type, code, message, stack: error.stack }
  return cause === undefined ? described : { ...described, cause: describeError(cause) }
}
