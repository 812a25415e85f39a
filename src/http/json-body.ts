import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { ServiceError } from '../errors/service-error.ts'
import { isClientError } from './problem.ts'
import { bodyWrongError } from './validation.ts'

/** How much of a name is repeated in an error. */
const MAX_NAME = 40

/** Reads every body of the routes of this plugin as JSON, whatever its content type says. */
export function readBodiesAsJson(app: Pick<FastifyInstance, 'removeAllContentTypeParsers'>): void {
  const instance = app as FastifyInstance
  instance.removeAllContentTypeParsers()
  instance.addContentTypeParser('*', { parseAs: 'string' }, async (_: unknown, body: string) =>
    parseBody(body),
  )
}

/** A hook for a route whose body may be left out: `null` is a body, and a wrong one. */
export async function defaultToEmptyBody(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {}
}

/** A hook for a route that takes no query: `?mode=rebuild` must not be taken for a member of the body. */
export async function rejectQuery({ query, routeOptions }: FastifyRequest): Promise<void> {
  const [name] = Object.keys(query as object)
  if (name === undefined) return
  const { method, url } = routeOptions
  throw new ServiceError(
    'bad_request',
    `${method} ${url} takes its options from a JSON body, not from the query, where ` +
      `${JSON.stringify(name.slice(0, MAX_NAME))} was given`,
  )
}

/** An error handler for such routes: a body that Fastify rejects itself, such as one that is too large, is wrong. */
export function rejectWrongBody(error: FastifyError): never {
  throw isClientError(error) ? bodyWrongError(describeBodyError(error)) : error
}

function describeBodyError({ code, message }: FastifyError): string {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return 'expected at most 64 KiB'
  if (code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH') return 'its length is not its Content-Length'
  return message
}

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw bodyWrongError('expected JSON')
  }
}
