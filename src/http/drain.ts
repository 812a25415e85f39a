import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

/** How long an unfinished request may take to arrive during a stop; less than any SHUTDOWN_SECONDS. */
const ARRIVAL_MS = 800

/**
 * Follows the connections, and returns a function that ends those that Node.js would leave open when the server
 * closes: those that have sent nothing (a browser's spare one, a health check) at once, those with an unfinished
 * request soon. A request that has arrived completely is answered first.
 */
export function trackConnections(server: Server): () => void {
  const requests = new Map<Socket, IncomingMessage | undefined>()
  let isClosing = false

  server.on('connection', (socket: Socket) => {
    requests.set(socket, undefined)
    socket.once('close', () => requests.delete(socket))
  })
  server.on('request', (request, response) => {
    const { socket } = request
    requests.set(socket, request)
    response.once('close', () => {
      if (requests.get(socket) !== request) return
      requests.set(socket, undefined)
      if (isClosing) socket.end()
    })
  })
  const destroyIf = (isUnused: (socket: Socket) => boolean) => {
    for (const socket of requests.keys()) if (isUnused(socket)) socket.destroy()
  }
  return () => {
    if (isClosing) return
    isClosing = true
    destroyIf((socket) => socket.bytesRead === 0)
    setTimeout(() => destroyIf((socket) => !requests.get(socket)?.complete), ARRIVAL_MS).unref()
  }
}
