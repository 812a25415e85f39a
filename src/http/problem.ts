import { STATUS_CODES } from 'node:http'
import type { FastifyError } from 'fastify'
import { ServiceError } from '../errors/service-error.ts'

/** An answer that is no success, as RFC 9457 describes it, with a stable `code`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly [extension: string]: unknown
}

/** What Fastify itself refuses, in our words. */
const CODES: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'body_not_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'body_not_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
}

/** Describes any error; of one that was not foreseen it says nothing but that. */
export function toProblem(error: unknown): Problem {
  if (error instanceof ServiceError) {
    return createProblem(error.statusCode, error.code, error.message, error.extensions)
  }
  const { statusCode = 500, code = '', message } = error as Partial<FastifyError>
  // JSON.parse throws a SyntaxError with the status but without a code of Fastify's.
  if (error instanceof SyntaxError && statusCode === 400) {
    return createProblem(400, 'body_not_json', message ?? '')
  }
  if (statusCode < 400 || statusCode > 499) {
    return createProblem(500, 'internal_error', 'unforeseen error, see the log of the service')
  }
  return createProblem(statusCode, CODES[code] ?? 'bad_request', message ?? '')
}

export function createProblem(
  status: number,
  code: string,
  detail: string,
  extensions: Readonly<Record<string, unknown>> = {},
): Problem {
  const title = STATUS_CODES[status] ?? 'Error'
  return { ...extensions, type: 'about:blank', title, status, detail, code }
}
