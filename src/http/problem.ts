import { STATUS_CODES } from 'node:http'
import type { FastifyError } from 'fastify'
import { describeErrorCode, type ErrorCode } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Problem } from './schemas/problem.ts'

/** The errors that Fastify raises itself; every other 4xx of its own is a `bad_request`. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'body_not_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'body_not_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
}

/** Creates the problem document of a code, which determines its status and title. */
export function createProblem(
  code: ErrorCode,
  detail: string,
  extensions: Readonly<Record<string, unknown>> = {},
): Problem {
  const { status } = describeErrorCode(code)
  const title = STATUS_CODES[status] ?? 'Error'
  return { ...extensions, type: 'about:blank', title, status, detail, code }
}

/** Describes any error; an unforeseen one is only named as such, because its text may hold secrets. */
export function toProblem(error: unknown): Problem {
  if (error instanceof ServiceError) {
    return createProblem(error.code, error.message, error.extensions)
  }
  if (!isClientError(error)) {
    return createProblem('internal_error', 'unforeseen error, see the log of the service')
  }
  // JSON.parse throws a SyntaxError, which Fastify gives a status but no code.
  const fallback = error instanceof SyntaxError ? 'body_not_json' : 'bad_request'
  return createProblem(FASTIFY_CODES[error.code] ?? fallback, error.message)
}

/** An error of Fastify's own that blames the request. */
export function isClientError(error: unknown): error is FastifyError {
  if (!(error instanceof Error) || error instanceof ServiceError) return false
  const { statusCode = 500 } = error as Partial<FastifyError>
  return statusCode >= 400 && statusCode <= 499
}
