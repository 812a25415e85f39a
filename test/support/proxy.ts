import { connect, createServer, type Socket } from 'node:net'

/** A way to the test server that can be cut, so that one service alone loses its database. */
export interface Proxy {
  /** The given URL, by way of the proxy. */
  readonly url: string
  /** How many connections were made to it. */
  readonly connections: number
  /** Breaks every connection and refuses new ones. */
  cut(): void
  restore(): void
  /** Keeps every connection open, and passes nothing on. */
  pause(): void
  /** As `pause`, for new connections as well, until `restore`. */
  swallow(): void
}

interface Teardown {
  teardown(work: () => void): unknown
}

export async function openProxy(t: Teardown, url: string): Promise<Proxy> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isCut = false
  let isSwallowing = false
  let connections = 0
  const server = createServer((client) => {
    connections++
    const upstream = connect(Number(target.port || 5432), target.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      // Whichever end breaks, the other is told by its close.
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    if (!isSwallowing) {
      client.pipe(upstream)
      upstream.pipe(client)
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    if (isCut) client.destroy()
  })
  const cut = () => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  const pause = () => {
    for (const socket of sockets) socket.unpipe().pause()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    cut()
    server.close()
  })

  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const proxied = new URL(url)
  proxied.port = String(address.port)
  return {
    url: String(proxied),
    get connections() {
      return connections
    },
    cut,
    restore() {
      isCut = false
      isSwallowing = false
    },
    pause,
    swallow() {
      isSwallowing = true
      pause()
    },
  }
}
