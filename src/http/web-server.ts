import type { RequestListener, Server } from 'node:http'
import { createConnections } from './connections.ts'
import { trackConnections } from './drain.ts'
import type { RequestObserver } from './plugins/observe-requests.ts'

export interface WebServerOptions {
  readonly onEvent?: RequestObserver | undefined
  /** How long a connection that was ended may be silent before it is closed; the default is for clients that are busy. */
  readonly lingerMs?: number | undefined
  /** Makes the app if there is none yet; requests wait for it. Default: the app exists. */
  readonly prepareApp?: () => Promise<unknown>
}

/** The server that Fastify's app answers for. It can listen before there is an app, which takes longer to make. */
export interface WebServer {
  readonly server: Server
  /** Has Fastify answer the requests: its `serverFactory`. */
  readonly use: (answer: RequestListener) => Server
  /** Ends the connections that have nothing to wait for, when the server closes. */
  readonly drain: () => void
}

export function createWebServer(options: WebServerOptions = {}): WebServer {
  const { createServer, reject } = createConnections(options.onEvent, options.lingerMs)
  /** Undefined once there is an app. */
  let { prepareApp } = options
  let answer: RequestListener = (_request, response) => response.destroy()
  const server = createServer((request, response) => {
    if (prepareApp === undefined) return answer(request, response)
    // Where there will be none, the connection is closed: the service is about to end.
    void prepareApp().then(
      () => {
        prepareApp = undefined
        answer(request, response)
      },
      () => response.destroy(),
    )
  })
  server.on('clientError', reject)
  return {
    server,
    use(listener) {
      answer = listener
      return server
    },
    drain: trackConnections(server),
  }
}
