import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../errors/codes.ts'
import { ServiceError } from '../../errors/service-error.ts'
import { createProblem, toProblem } from '../problem.ts'
import type { Problem } from '../schemas/problem.ts'

const METHODS = ['GET', 'HEAD', 'POST'] as const

/** What Node.js rejects before it is a request; everything else that it rejects is not HTTP. */
const CLIENT_ERRORS: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** Answers every error of this app with a problem document, and logs those that are not the client's. */
export function setErrorHandlers(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error)
    sendProblem(problem, reply)
    if (problem.status < 500) return
    // A foreseen error is not a fault of the service.
    const level = error instanceof ServiceError ? 'warn' : 'error'
    request.log[level]({ err: error, url: request.url }, 'request failed')
  })
  // Before the body is read: without a route, nothing in it matters.
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return answerNotFound(app, request, reply)
  })
}

/** Answers a request that Fastify rejects before it has a route. */
export function answerFrameworkError(
  error: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  sendProblem(toProblem(error), reply)
}

/** Answers what Node.js cannot read as HTTP: it never becomes a request, so this writes to the socket. */
export function answerMalformedRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const code = CLIENT_ERRORS[error.code ?? ''] ?? 'bad_request'
  const problem = createProblem(code, 'this request cannot be read')
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

function answerNotFound(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = request.url.split('?')[0] ?? ''
  const allowed = METHODS.filter((method) => app.hasRoute({ method, url: path })).join(', ')
  if (allowed === '') {
    return sendProblem(createProblem('route_not_found', `there is no ${path} here`), reply)
  }
  reply.header('allow', allowed)
  const detail = `${path} accepts ${allowed}, not ${request.method}`
  return sendProblem(createProblem('method_not_allowed', detail), reply)
}

function sendProblem(problem: Problem, reply: FastifyReply): FastifyReply {
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .serializer(JSON.stringify)
    .send(problem)
}
