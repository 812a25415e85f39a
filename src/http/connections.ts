import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import type { ErrorCode } from '../errors/codes.ts'
import { methodLabel, type RequestObserver, UNMATCHED } from './plugins/observe-requests.ts'
import { createRequestId, REQUEST_ID_HEADER } from './plugins/request-id.ts'
import { createProblem } from './problem.ts'
import type { Problem } from './schemas/problem.ts'

/** How long a connection that was ended may be silent before it is closed: its client may be busy. */
const LINGER_MS = 5000
/** From here on it is closed even if the client still sends. */
const MAX_LINGER_MS = 30_000
/** How many requests of one connection may wait before no more of them is read. */
const MAX_WAITING = 100

/** What Node.js rejects before it is a request; everything else that it rejects is not HTTP. */
const CLIENT_ERRORS: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}
const DETAILS: Readonly<Partial<Record<ErrorCode, string>>> = {
  headers_too_large: 'the headers are too large; expected 16 KiB at most',
  request_timeout: 'the request did not arrive in time',
}

type Exchange = readonly [request: IncomingMessage, response: ServerResponse]

interface Connection {
  current: Exchange | undefined
  readonly waiting: { readonly exchange: Exchange; readonly answer: RequestListener }[]
  /** The answer that ends the connection, once those before it are sent. */
  last: string | undefined
  isEnding: boolean
}

/** The connections of the server. */
export interface Connections {
  /** Creates the server that hands its requests to Fastify. */
  createServer(handler: RequestListener): Server
  /** Answers what Node.js cannot read as HTTP: it never becomes a request. */
  reject(error: NodeJS.ErrnoException, socket: Socket): void
}

/**
 * Answers the requests of each connection one after the other, in a turn of the event loop each, so
 * that thousands of pipelined requests do not keep a probe waiting. What Node.js would answer itself,
 * or not at all, gets a problem document, in its turn, too. `onEvent` receives what Fastify does not report.
 */
export function createConnections(
  onEvent: RequestObserver = () => {},
  lingerMs = LINGER_MS,
): Connections {
  const connections = new WeakMap<Socket, Connection>()

  /** Reports an answer of which Fastify knows nothing. */
  function report(status: number, method: string | undefined): void {
    const request = { kind: 'request', route: UNMATCHED, method: methodLabel(method) } as const
    onEvent({ ...request, status, durationMs: 0 })
  }

  function connectionOf(socket: Socket): Connection {
    const found = connections.get(socket)
    if (found !== undefined) return found
    const created = { current: undefined, waiting: [], last: undefined, isEnding: false }
    connections.set(socket, created)
    return created
  }

  function take(answer: RequestListener, ...exchange: Exchange): void {
    const { socket } = exchange[0]
    const connection = connectionOf(socket)
    if (connection.isEnding) return
    if (connection.current === undefined) {
      begin(socket, connection, answer, exchange)
      return
    }
    connection.waiting.push({ exchange, answer })
    if (connection.waiting.length === MAX_WAITING) socket.pause()
  }

  function begin(
    socket: Socket,
    connection: Connection,
    answer: RequestListener,
    exchange: Exchange,
  ): void {
    connection.current = exchange
    exchange[1].once('close', () => setImmediate(() => goOn(socket, connection)))
    answer(...exchange)
  }

  function goOn(socket: Socket, connection: Connection): void {
    connection.current = undefined
    if (socket.destroyed) connection.waiting.length = 0
    const next = connection.waiting.shift()
    if (next !== undefined) begin(socket, connection, next.answer, next.exchange)
    else if (connection.last !== undefined) end(socket, lingerMs, connection.last)
    else if (socket.isPaused()) socket.resume()
  }

  function endInTurn(socket: Socket, code: ErrorCode, detail: string): void {
    const connection = connectionOf(socket)
    if (connection.isEnding) return
    connection.isEnding = true
    const { current, waiting } = connection
    const problem = createProblem(code, detail)
    // A request whose body does not arrive is the one that is rejected.
    const isRejected = current?.[0].complete === false && waiting.length === 0
    const request = isRejected ? current[0] : { method: undefined, headers: {} }
    report(problem.status, request.method)
    const text = formatProblem(problem, createRequestId(request))
    if (current === undefined || isRejected) end(socket, lingerMs, text)
    else connection.last = text
  }

  function answerExpectation(request: IncomingMessage, response: ServerResponse): void {
    const problem = createProblem('expectation_failed', 'the only known Expect is 100-continue')
    const body = JSON.stringify(problem)
    report(problem.status, request.method)
    response
      .writeHead(problem.status, {
        'content-type': 'application/problem+json',
        'content-length': Buffer.byteLength(body),
        connection: 'close',
        [REQUEST_ID_HEADER]: createRequestId(request),
      })
      .end(body)
  }

  return {
    createServer(handler) {
      const server = createServer({
        // `checkHosts` does that, with a problem document.
        requireHostHeader: false,
        headersTimeout: 10_000,
        requestTimeout: 30_000,
        keepAliveTimeout: 5000,
        connectionsCheckingInterval: 1000,
      })
      server.on('connection', (socket: Socket) => {
        // How Node.js ends a connection after its last answer: it would lose what the client has yet to
        // receive, answers before it as well, if there is input that was not read, such as a large body.
        socket.destroySoon = () => {
          const connection = connectionOf(socket)
          connection.isEnding = true
          connection.waiting.length = 0
          end(socket, lingerMs)
        }
      })
      server.on('request', (request, response) => take(handler, request, response))
      server.on('checkExpectation', (request, response) =>
        take(answerExpectation, request, response),
      )
      server.on('connect', (_request, socket: Socket) => {
        socket.on('error', () => {})
        endInTurn(socket, 'method_not_allowed', 'CONNECT is not accepted: this is not a proxy')
      })
      return server
    },
    reject(error, socket) {
      if (error.code === 'ECONNRESET') socket.destroy()
      else if (connectionOf(socket).isEnding) return
      else if (!socket.writable) socket.destroy()
      else {
        const code = CLIENT_ERRORS[error.code ?? ''] ?? 'bad_request'
        endInTurn(socket, code, DETAILS[code] ?? 'malformed HTTP request')
      }
    },
  }
}

/**
 * Reads on after the last answer until the client closes its side, too. What it sends to a socket that is closed
 * already makes the system drop every answer that the client has not read yet. But a client that keeps its side
 * open must not keep the socket.
 */
function end(socket: Socket, lingerMs: number, text = ''): void {
  socket.once('finish', () => {
    const deadline = performance.now() + MAX_LINGER_MS
    let seen = socket.bytesRead
    const timer = setInterval(() => {
      if (socket.bytesRead === seen || performance.now() > deadline) socket.destroy()
      seen = socket.bytesRead
    }, lingerMs)
    timer.unref()
    socket.once('close', () => clearInterval(timer))
  })
  socket.end(text)
  socket.resume()
}

function formatProblem(problem: Problem, requestId: string): string {
  const body = JSON.stringify(problem)
  const headers = [
    'content-type: application/problem+json',
    ...(problem.status === 405 ? ['allow: GET, HEAD'] : []),
    `${REQUEST_ID_HEADER}: ${requestId}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  return `HTTP/1.1 ${problem.status} ${problem.title}\r\n${headers.join('\r\n')}\r\n\r\n${body}`
}
