import type { FastifyInstance } from 'fastify'
import type { OnEvent, RequestEvent } from '../../events.ts'

export type RequestObserver = OnEvent<RequestEvent>

/** The methods that routes have; a client could send dozens of others. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])

/** Stands for the route of a request that has none. */
export const UNMATCHED = 'unmatched'

/** The method as metrics have it; undefined where there was no request yet. */
export function methodLabel(method: string | undefined): string {
  return method !== undefined && METHODS.has(method) ? method : 'other'
}

/** Reports each request once it is answered, by its route's pattern: a path may contain anything. */
export function observeRequests(app: FastifyInstance, onEvent: RequestObserver): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { method, is404 } = request
    onEvent({
      kind: 'request',
      route: (is404 ? undefined : request.routeOptions.url) ?? UNMATCHED,
      method: methodLabel(method),
      status: reply.statusCode,
      durationMs: reply.elapsedTime,
    })
    done()
  })
}
