import { once } from 'node:events'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { readTlsOptions, TlsError, type TlsUse } from './tls.ts'
import type { Address, TlsSettings } from './url.ts'

export interface OpenSocketOptions {
  readonly tls: TlsSettings
  readonly use: TlsUse
  /** Ends the attempt: the socket is destroyed with the signal's reason. */
  readonly signal: AbortSignal
}

export interface OpenSocket {
  /** Ready for the startup message. */
  readonly socket: Socket
  readonly isEncrypted: boolean
}

/** PostgreSQL's question whether it offers TLS. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** Opens a connection, with TLS as `sslmode` wants it. A Unix socket never has TLS. */
export async function openSocket(
  { host, port }: Address,
  { tls, use, signal }: OpenSocketOptions,
): Promise<OpenSocket> {
  signal.throwIfAborted()
  const socket = new Socket()
  const onAbort = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  // An error between two waits must not end the process.
  socket.on('error', () => {})
  try {
    const isUnixSocket = host.startsWith('/') || host.startsWith('@')
    if (isUnixSocket) {
      // An abstract name begins with a null byte; people write @.
      const path = host.startsWith('@') ? `\0${host.slice(1)}` : host
      socket.connect(`${path}/.s.PGSQL.${port}`)
    } else {
      socket.connect(port, host)
    }
    await once(socket, 'connect', { signal })
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    if (use === 'no' || isUnixSocket) return { socket, isEncrypted: false }
    if (tls.negotiation === 'postgres' && !(await askForTls(socket, signal))) {
      if (use === 'if offered') return { socket, isEncrypted: false }
      throw new TlsError('the server does not offer TLS')
    }
    return { socket: await startTls(socket, tls, host, signal), isEncrypted: true }
  } catch (error) {
    socket.destroy()
    // The abort error of `once` hides why the attempt was ended.
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

const KEEP_ALIVE_MS = 10_000

async function askForTls(socket: Socket, signal: AbortSignal): Promise<boolean> {
  socket.write(SSL_REQUEST)
  const answer = await readAnswer(socket, signal)
  if (answer === 'S') return true
  if (answer === 'N') return false
  // More than one byte may have been put there by an attacker (CVE-2021-23222); `E` is an error of a
  // server that cannot start a session at the moment.
  throw Object.assign(new Error('the server gave no valid answer to the request for TLS'), {
    code: 'ECONNRESET',
  })
}

async function readAnswer(socket: Socket, signal: AbortSignal): Promise<string> {
  const ended = new AbortController()
  const anySignal = AbortSignal.any([signal, ended.signal])
  try {
    const closed = once(socket, 'close', { signal: anySignal }).then(() => {
      throw Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' })
    })
    closed.catch(() => {})
    const [data] = (await Promise.race([once(socket, 'data', { signal: anySignal }), closed])) as [
      Buffer,
    ]
    return data.toString('latin1')
  } finally {
    ended.abort()
    socket.pause()
  }
}

async function startTls(
  socket: Socket,
  tls: TlsSettings,
  host: string,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const [{ connect }, options] = await Promise.all([import('node:tls'), readTlsOptions(tls, host)])
  signal.throwIfAborted()
  const secured = connect({ ...options, socket })
  secured.on('error', () => {})
  const onAbort = () => secured.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await once(secured, 'secureConnect', { signal })
    return secured
  } catch (error) {
    secured.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
