import type { ErrorCode } from '../../errors/codes.ts'

/** Codes that a request may get whatever its path is. */
export const CODES_OF_EVERY_ROUTE = [
  'bad_request',
  'request_timeout',
  'expectation_failed',
  'host_not_allowed',
  'headers_too_large',
  'internal_error',
] as const satisfies readonly ErrorCode[]

/** Codes for requests that lead to no route. */
export const CODES_WITHOUT_ROUTE = [
  'route_not_found',
  'method_not_allowed',
] as const satisfies readonly ErrorCode[]
