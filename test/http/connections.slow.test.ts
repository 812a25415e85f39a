import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { createWebServer } from '../../src/http/web-server.ts'
import { createTestApp as createApp } from '../support/app.ts'
import { becomes } from '../support/becomes.ts'

interface Client {
  readonly socket: Socket
  received(): string
  readonly closed: Promise<void>
}

async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as { port: number }).port
}

/** Its clients keep their side open, which would be waited for. */
const createTestApp = (t: Test, deps: Parameters<typeof createApp>[1] = {}) =>
  createApp(t, { web: createWebServer({ onEvent: deps.onEvent, lingerMs: 300 }), ...deps })

/** Keeps its side open after the server has closed the other, as a rude client does. */
function openClient(t: Test, port: number, sent: string): Client {
  let text = ''
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(sent))
  socket
    .on('error', () => {})
    .on('data', (data) => {
      text += data
    })
  t.teardown(() => socket.destroy())
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { socket, received: () => text, closed }
}

/** Splits what a connection received into answers: each status, and each problem's code. */
function readAnswers(text: string): string[] {
  return text
    .split(/(?=HTTP\/1\.1 \d)/)
    .filter((answer) => !answer.startsWith('HTTP/1.1 100'))
    .map((answer) => {
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      const status = head.slice(9, 12)
      if (status === '200') return status
      return `${status} ${/application\/problem\+json/.test(head) ? JSON.parse(body).code : body}`
    })
}

const LIVEZ = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** What a client sends, and what it gets. */
const EXCHANGES: readonly (readonly [string, string, readonly string[]])[] = [
  ['no Host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', ['400 bad_request']],
  [
    'an empty Host',
    'GET /livez HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n',
    ['400 bad_request'],
  ],
  [
    'two Hosts',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nhost: evil\r\nConnection: close\r\n\r\n',
    ['400 bad_request'],
  ],
  ['no Host in HTTP/1.0', 'GET /livez HTTP/1.0\r\n\r\n', ['200']],
  [
    'another Host in HTTP/1.0',
    'GET /livez HTTP/1.0\r\nHost: evil\r\n\r\n',
    ['421 host_not_allowed'],
  ],
  [
    'another host in a whole URL',
    'GET http://evil/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    ['421 host_not_allowed'],
  ],
  [
    'an unknown Expect',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: cake\r\n\r\n',
    ['417 expectation_failed'],
  ],
  [
    'Expect: 100-continue',
    'POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    ['200'],
  ],
  ['CONNECT', 'CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n', ['405 method_not_allowed']],
  [
    'Upgrade',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    ['200'],
  ],
  [
    'the server as a whole',
    'GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    ['404 route_not_found'],
  ],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['400 bad_request']],
  ['bytes that are not HTTP', 'HELO\r\n\r\n', ['400 bad_request']],
  ['garbage after requests', `${LIVEZ}${LIVEZ}HELO\r\n\r\n`, ['200', '200', '400 bad_request']],
  [
    'CONNECT after a request',
    `${LIVEZ}CONNECT evil:443 HTTP/1.1\r\nHost: a\r\n\r\n`,
    ['200', '405 method_not_allowed'],
  ],
  [
    'headers that are too large',
    `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    ['431 headers_too_large'],
  ],
  [
    'two lengths',
    'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    ['400 bad_request'],
  ],
]
for (const [what, sent, answers] of EXCHANGES) {
  test(`${what} gets ${answers.join(', ')}, and the connection is freed`, async (t) => {
    const counted: number[] = []
    const app = createTestApp(t, { onEvent: ({ status }) => counted.push(status) })
    app.post('/echo', async (request) => request.body)
    const client = openClient(t, await listen(app), sent)

    await becomes(t, async () => readAnswers(client.received()), answers)
    await becomes(t, async () => countConnections(app), 0)
    // An answer may be counted while one before it is still being sent.
    t.strictSame(counted.sort(), answers.map((answer) => Number(answer.slice(0, 3))).sort())
    t.equal(listIds(client.received()).size, answers.length)
  })
}

/** The ids of the answers; one without is not among them. */
function listIds(received: string): Set<string> {
  return new Set([...received.matchAll(/^x-request-id: ([\w-]+)\r$/gim)].map(([, id]) => id ?? ''))
}

function countConnections(app: FastifyInstance): Promise<number> {
  return new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)))
}

test('garbage after a request that is still running waits for its answer', async (t) => {
  const app = createTestApp(t)
  const slow = new EventEmitter()
  app.get('/slow', async () => {
    slow.emit('entered')
    await once(slow, 'go on')
    return 'done'
  })
  const entered = once(slow, 'entered')
  const sent = 'GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\nHELO\r\n\r\n'
  const client = openClient(t, await listen(app), sent)
  await entered
  t.equal(client.received(), '')

  slow.emit('go on')

  await becomes(t, async () => readAnswers(client.received()), ['200', '400 bad_request'])
})

test('half requests are answered 408 and freed, although the client keeps them open', async (t) => {
  const counted: string[] = []
  const app = createTestApp(t, {
    onEvent: ({ method, route, status }) => counted.push(`${method} ${route} ${status}`),
  })
  app.post('/echo', async (request) => request.body)
  const port = await listen(app)
  Object.assign(app.server, { headersTimeout: 50, requestTimeout: 50 })
  const halves = [
    'GET /livez HTTP/1.1\r\nHost: a',
    `${LIVEZ}POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: half\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\nabc`,
  ]

  const clients = Array.from({ length: 50 }, (_, i) => openClient(t, port, halves[i % 2] ?? ''))

  for (const [index, client] of clients.entries()) {
    const answers = ['408 request_timeout']
    await becomes(
      t,
      async () => readAnswers(client.received()),
      index % 2 ? ['200', ...answers] : answers,
    )
    t.equal(listIds(client.received()).size, index % 2 ? 2 : 1)
    t.equal(listIds(client.received()).has('half'), index % 2 === 1)
  }
  await becomes(t, async () => countConnections(app), 0)
  t.strictSame(countEach(counted), {
    'GET /livez 200': 25,
    'POST unmatched 408': 25,
    'other unmatched 408': 25,
  })
})

function countEach(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const text of [...texts].sort()) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

test('pipelined requests are answered one by one, in order, and others do not wait for them', async (t) => {
  const app = createTestApp(t)
  let running = 0
  let most = 0
  let answered = 0
  app.get('/count', async () => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return { n: answered++ }
  })
  const port = await listen(app)
  const request = 'GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const client = openClient(t, port, request.repeat(2000))
  await becomes(t, async () => answered > 0, true)

  const response = await fetch(`http://127.0.0.1:${port}/livez`)

  t.equal(response.status, 200)
  t.ok(answered < 2000, 'the probe did not wait for all')
  await becomes(t, async () => answered, 2000)
  t.equal(most, 1)
  await becomes(t, async () => client.received().includes('{"n":1999}'), true)
  const numbers = [...client.received().matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n))
  t.strictSame(
    numbers,
    Array.from({ length: 2000 }, (_, i) => i),
  )
})

test('an answer arrives whole, although the body of the last request is not read', async (t) => {
  const app = createTestApp(t)
  const text = 'x'.repeat(3_000_000)
  app.get('/large', async () => text)
  const port = await listen(app)
  const body = 'y'.repeat(300_000)
  const last = `POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
  const client = openClient(t, port, `GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n${last}${body}`)
  // A slow reader: most of the answer waits in the server's socket.
  client.socket.pause()
  await once(app.server, 'connection')
  setTimeout(() => client.socket.resume(), 200)

  await becomes(t, async () => readAnswers(client.received()), ['200', '404 route_not_found'])
  t.ok(client.received().includes(text))
  await becomes(t, async () => countConnections(app), 0)
})

test('a good answer arrives whole, although garbage follows and the client is busy for a while', async (t) => {
  const app = createTestApp(t, { web: createWebServer({ lingerMs: 5000 }) })
  const text = 'x'.repeat(1_500_000)
  app.get('/large', async () => text)
  const sent = 'GET /large HTTP/1.1\r\nHost: localhost\r\n\r\nHELO\r\n\r\n'
  const client = openClient(t, await listen(app), sent)
  client.socket.pause()
  await once(app.server, 'connection')
  // It has sent all that it wanted to, but its system has not: a reset by the server would lose the answer.
  for (let piece = 0; piece < 12; piece++) {
    await sleep(100)
    client.socket.write('more')
  }
  client.socket.resume()

  await becomes(t, async () => readAnswers(client.received()), ['200', '400 bad_request'])
  t.ok(client.received().includes(text))
})

test('what follows a request that ends its connection is not run', async (t) => {
  const app = createTestApp(t)
  let runs = 0
  app.post('/run', async () => ({ runs: ++runs }))
  const request = (more: string) => `POST /run HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
  const sent = `${request('')}${request('Connection: close\r\n')}${request('').repeat(50)}`
  const client = openClient(t, await listen(app), sent)

  await becomes(t, async () => readAnswers(client.received()), ['200', '200'])
  await becomes(t, async () => countConnections(app), 0)
  t.equal(runs, 2)
})
