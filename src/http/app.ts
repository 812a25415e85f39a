import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify'
import { maskTexts } from '../config/redact.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Readiness } from '../readiness.ts'
import type { Status } from '../status.ts'
import { endConnectionsOnClose } from './drain.ts'
import { createProblem, type Problem, toProblem } from './problem.ts'
import { livezRoute } from './routes/livez.ts'
import { readyzRoute } from './routes/readyz.ts'
import { type ResetRouteOptions, resetRoute } from './routes/reset.ts'
import { statusRoute } from './routes/status.ts'

export interface AppDeps {
  readonly log: FastifyBaseLogger
  readonly readiness: Readiness
  readonly readStatus: () => Promise<Status>
  /** Takes secrets out of every answer: what a migration or PostgreSQL says may hold one. */
  readonly mask: (text: string) => string
  /** Undefined where RESET_ENABLED is not true: there is no such route, then. */
  readonly reset?: ResetRouteOptions | undefined
}

const METHODS = ['GET', 'HEAD', 'POST'] as const

/** What Node.js refuses for another reason than that it is no HTTP. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout'],
}

/** Creates the HTTP side of the service: the routes as one list, one answer for every error. */
export function createApp(deps: AppDeps): FastifyInstance {
  const { log, readiness, readStatus, mask } = deps
  const app = fastify({
    loggerInstance: log,
    // Probes ask every second; what matters of them is in the answer.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    requestTimeout: 30_000,
    keepAliveTimeout: 5000,
    // A probe on a kept connection is told `stopping` rather than something else.
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => sendError(error, reply),
    clientErrorHandler: answerMalformedRequest,
    schemaController: { compilersFactory: lazyCompilers },
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = sendError(error, reply)
    if (problem.status < 500) return
    // What was foreseen is no fault of the service's.
    const level = error instanceof ServiceError ? 'warn' : 'error'
    request.log[level]({ err: error, url: request.url }, 'request failed')
  })
  endConnectionsOnClose(app)
  app.addHook('preSerialization', async (_request, _reply, payload) => maskTexts(payload, mask))
  // Before the body is read: what a route that is not there was sent does not matter.
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return answerNotFound(app, request, reply)
  })

  app.register(livezRoute)
  app.register(readyzRoute, { readiness })
  app.register(statusRoute, { readStatus })
  if (deps.reset !== undefined) app.register(resetRoute, deps.reset)
  return app
}

/** The one place that answers an error: problem+json, with nothing but what the caller may know. */
function sendError(error: unknown, reply: FastifyReply): Problem {
  const problem = toProblem(error)
  sendProblem(problem, reply)
  return problem
}

function sendProblem(problem: Problem, reply: FastifyReply): FastifyReply {
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .serializer(JSON.stringify)
    .send(problem)
}

function answerNotFound(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = request.url.split('?')[0] ?? ''
  const allowed = METHODS.filter((method) => app.hasRoute({ method, url: path }))
  if (allowed.length === 0) {
    return sendProblem(createProblem(404, 'route_not_found', `there is no ${path} here`), reply)
  }
  reply.header('allow', allowed.join(', '))
  const detail = `${path} takes ${allowed.join(', ')}, not ${request.method}`
  return sendProblem(createProblem(405, 'method_not_allowed', detail), reply)
}

/** What Node.js cannot read as HTTP never becomes a request, so it is answered by hand. */
function answerMalformedRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, code] = CLIENT_ERRORS[error.code ?? ''] ?? [400, 'bad_request']
  const problem = createProblem(status, code, 'this request cannot be read')
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${status} ${problem.title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

/**
 * Fastify loads ajv, a third of its own start, even where no route has a schema; given these, it
 * loads it with the first route that has one.
 */
const lazyCompilers = {
  buildValidator: (...args: unknown[]) => requireOfFastify('@fastify/ajv-compiler')()(...args),
  buildSerializer: (...args: unknown[]) =>
    requireOfFastify('@fastify/fast-json-stringify-compiler')()(...args),
}

function requireOfFastify(name: string) {
  const require = createRequire(import.meta.url)
  return createRequire(require.resolve('fastify'))(name)
}
