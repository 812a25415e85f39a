/** What the process answers with when it ends; operators and compose files rely on the numbers. */
export const EXIT = {
  stopped: 0,
  unforeseen: 1,
  settings: 2,
  database: 3,
  migration: 4,
  history: 5,
  lock: 6,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export interface ServiceErrorOptions {
  /** Stable name in lower snake case, listed in docs/error-codes.md. */
  readonly code: string
  /** HTTP status, where the error is answered over HTTP. */
  readonly statusCode?: number
  /** Exit code of the process, where the error ends it. */
  readonly exitCode?: ExitCode
  /** Further members of the problem document (RFC 9457), never a secret. */
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * An error that this service foresees. Its message is written for a person: what was expected, what
 * was found, and what to do; it never holds a password, a token or a connection string.
 */
export class ServiceError extends Error {
  readonly code: string
  readonly statusCode: number
  readonly exitCode: ExitCode
  readonly extensions: Readonly<Record<string, unknown>>

  constructor(message: string, options: ServiceErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ServiceError'
    this.code = options.code
    this.statusCode = options.statusCode ?? 500
    this.exitCode = options.exitCode ?? EXIT.unforeseen
    this.extensions = options.extensions ?? {}
  }
}
