import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

export const REQUEST_ID_HEADER = 'x-request-id'

/** What may stand in a log line and a header as it is. */
const PLAIN_ID = /^[\w.:-]{1,64}$/

/** Takes the client's id of a request if it is short and plain, so that one id goes through several logs. */
export function createRequestId({
  headers,
}: {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}): string {
  const given = headers[REQUEST_ID_HEADER]
  return typeof given === 'string' && PLAIN_ID.test(given) ? given : randomUUID()
}

/** Returns the id of each request with its answer. */
export function returnRequestIds(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header(REQUEST_ID_HEADER, request.id)
    done()
  })
}
