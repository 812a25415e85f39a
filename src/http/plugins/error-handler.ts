import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ServiceError } from '../../errors/service-error.ts'
import { createProblem, toProblem } from '../problem.ts'
import type { Problem } from '../schemas/problem.ts'
import { REQUEST_ID_HEADER } from './request-id.ts'

const MAX_SHOWN_PATH = 100

/** The methods that each path accepts; a path may have parameters. */
type Routes = Map<string, { readonly matches: RegExp; readonly methods: Set<string> }>

/** Answers every error of this app with a problem document, and logs those that are not the client's. */
export function setErrorHandlers(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error)
    if (problem.status < 500) {
      sendProblem(problem, reply)
      return
    }
    // The log says more about it, under the same id.
    sendProblem({ ...problem, requestId: request.id }, reply)
    // A foreseen error is not a fault of the service.
    const level = error instanceof ServiceError ? 'warn' : 'error'
    request.log[level]({ err: error, url: request.url }, 'request failed')
  })
  const routes: Routes = new Map()
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = url.replace(/[^/:\w]/g, '\\$&').replace(/:\w+/g, '[^/]+')
    const route = routes.get(url) ?? { matches: new RegExp(`^${pattern}$`), methods: new Set() }
    for (const one of [method].flat()) route.methods.add(one)
    routes.set(url, route)
  })
  // Before the body is read: without a route, nothing in it matters.
  app.addHook('onRequest', async (request, reply) => {
    // Fastify takes `*`, which is the server as a whole, for `/`.
    const isMissing = request.is404 || request.url.startsWith('*')
    if (isMissing) return answerNotFound(routes, request, reply)
  })
}

/** Answers a request that Fastify rejects before it has a route. */
export function answerFrameworkError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  reply.header(REQUEST_ID_HEADER, request.id)
  sendProblem(toProblem(error), reply)
}

function answerNotFound(
  routes: Routes,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const [path = ''] = request.url.split('?')
  const shown = path.length > MAX_SHOWN_PATH ? `${path.slice(0, MAX_SHOWN_PATH)}…` : path
  const found = [...routes.values()].filter(({ matches }) => matches.test(path))
  const allowed = [...new Set(found.flatMap(({ methods }) => [...methods]))].sort()
  if (allowed.length === 0) {
    return sendProblem(createProblem('route_not_found', `there is no ${shown} here`), reply)
  }
  reply.header('allow', allowed.join(', '))
  const detail = `${shown} accepts ${allowed.join(', ')}, not ${request.method}`
  return sendProblem(createProblem('method_not_allowed', detail), reply)
}

function sendProblem(problem: Problem, reply: FastifyReply): FastifyReply {
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .serializer(JSON.stringify)
    .send(problem)
}
