// HTTP/1.1 as bytes on a socket: what a client library would not send.
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { SeenAnswer } from '../support/described.ts'
import type { WireRequest } from './arbitrary-request.ts'

const LIMIT_MS = 10_000

/** Sends requests on one connection, without waiting for answers, and returns these in their order. */
export function exchange(
  address: string,
  requests: readonly WireRequest[],
  version: '1.0' | '1.1',
): Promise<SeenAnswer[]> {
  const { hostname, port, host } = new URL(address)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => {
      for (const [index, request] of requests.entries()) {
        const isLast = index === requests.length - 1
        socket.write(encode(request, host, isLast, version))
      }
    })
    socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error(`no answer in ${LIMIT_MS} ms`)))
    socket.on('data', (data) => chunks.push(data))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // It was closed while the rest was still being written; what it answered before that counts.
      if (!/^(EPIPE|ECONNRESET)$/.test(error.code ?? '')) reject(error)
    })
    socket.on('close', () => {
      try {
        resolve(decode(Buffer.concat(chunks), requests))
      } catch (error) {
        reject(error)
      }
    })
  })
}

function encode(
  { method, url, headers, body }: WireRequest,
  host: string,
  isLast: boolean,
  version: string,
): Buffer {
  const lines = [
    `${method} ${url} HTTP/${version}`,
    `host: ${host}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined ? [] : [`content-length: ${body.length}`]),
    ...(isLast ? ['connection: close'] : []),
  ]
  return Buffer.concat([
    Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
    body ?? Buffer.of(),
  ])
}

/** Reads answers whose length is given, as all of this service are. */
function decode(bytes: Buffer, requests: readonly WireRequest[]): SeenAnswer[] {
  const answers: SeenAnswer[] = []
  let rest = bytes
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    const [first = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n')
    const [, code] = /^HTTP\/1\.1 (\d{3}) /.exec(first) ?? []
    if (end === -1 || code === undefined) throw new Error(`no HTTP: ${rest.subarray(0, 100)}`)
    const status = Number(code)
    const headers = Object.fromEntries(
      lines.map((line) => [line.split(':')[0]?.toLowerCase(), line.slice(line.indexOf(':') + 2)]),
    )
    const request = requests[answers.length]
    if (request === undefined) throw new Error('more answers than requests')
    const { url } = request
    // What could not be read has no method: the answer to it, which has no date, has a body in any case.
    const method = 'date' in headers ? request.method : 'GET'
    const hasBody = method !== 'HEAD' && status !== 304
    const length = hasBody ? Number(headers['content-length']) : 0
    const raw = rest.subarray(end + 4, end + 4 + length)
    if (!(raw.length === length)) throw new Error(`an answer of ${headers['content-length']} bytes`)
    const body = (
      headers['content-encoding'] === 'gzip' && hasBody ? gunzipSync(raw) : raw
    ).toString()
    answers.push({ method, url, status, headers, body })
    rest = rest.subarray(end + 4 + length)
  }
  return answers
}
