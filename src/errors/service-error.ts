import { describeErrorCode, type ErrorCode, type ExitCode } from './codes.ts'

export interface ServiceErrorOptions {
  /** Further members of the problem document (RFC 9457); never a secret. */
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * An error that the service foresees. Its message is for a person: what was expected, what was found,
 * and what to do. It never contains a password, a token or a connection string. The code determines
 * HTTP status and exit code.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly statusCode: number
  readonly exitCode: ExitCode
  readonly extensions: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: ServiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const { status, exitCode } = describeErrorCode(code)
    this.name = 'ServiceError'
    this.code = code
    this.statusCode = status
    this.exitCode = exitCode
    this.extensions = options.extensions ?? {}
  }
}
