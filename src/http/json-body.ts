import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { isClientError } from './problem.ts'
import { bodyWrongError } from './validation.ts'

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
