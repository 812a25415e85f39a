import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How long the rest of a request may take once the service stops; below any SHUTDOWN_SECONDS. */
const REST_MS = 800

/**
 * Ends connections when the app closes, which Node.js leaves open: a browser's spare one or a health
 * check that has sent nothing at once, one with a part of a request soon. What has been asked in
 * full is answered first.
 */
export function endConnectionsOnClose(app: FastifyInstance): void {
  const requests = new Map<Socket, IncomingMessage | undefined>()
  let isClosing = false

  app.server.on('connection', (socket: Socket) => {
    requests.set(socket, undefined)
    socket.once('close', () => requests.delete(socket))
  })
  app.server.on('request', (request, response) => {
    const { socket } = request
    requests.set(socket, request)
    response.once('close', () => {
      if (requests.get(socket) !== request) return
      requests.set(socket, undefined)
      if (isClosing) socket.end()
    })
  })
  const endWhere = (isUnused: (socket: Socket) => boolean) => {
    for (const socket of requests.keys()) if (isUnused(socket)) socket.destroy()
  }
  app.addHook('preClose', async () => {
    isClosing = true
    endWhere((socket) => socket.bytesRead === 0)
    setTimeout(() => endWhere((socket) => !requests.get(socket)?.complete), REST_MS).unref()
  })
}
