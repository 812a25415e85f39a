import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type Test, test } from 'tap'
import { ServiceError } from '../../../src/errors/service-error.ts'
import type { DatabasesRouteOptions } from '../../../src/http/routes/databases.ts'
import { noDatabaseFreeError } from '../../../src/test-databases/errors.ts'
import type { LendOptions, LentDatabase } from '../../../src/test-databases/test-databases.ts'
import { createTestApp } from '../../support/app.ts'
import { until } from '../../support/until.ts'

const TOKEN = 'a-token-long-enough'
const ID = '31445f1c-a939-4529-ac9a-2c207f8e64a6'
const lease = {
  id: ID,
  name: 'bus_test_1',
  label: 'worker 3',
  lentAt: new Date('2026-11-26T18:00:00Z'),
  expiresAt: new Date('2026-11-26T18:05:00Z'),
}
const shown = {
  ...lease,
  lentAt: '2026-11-26T18:00:00.000Z',
  expiresAt: '2026-11-26T18:05:00.000Z',
}
const lent: LentDatabase = {
  ...lease,
  url: 'postgres://bus:secret@db:5432/bus_test_1',
  history: { last: '000002', hash: 'sha1:2' },
}

type Databases = ReturnType<DatabasesRouteOptions['getDatabases']>

function createWorld(t: Test, given: Partial<Databases> = {}) {
  const asked: unknown[] = []
  const inUse = { ...lease, connections: 2 }
  const databases: Databases = {
    async lend({ signal: _, ...options }) {
      asked.push(options)
      return lent
    },
    list: async () => [inUse],
    find: async () => inUse,
    async extend(id, ttlSeconds) {
      asked.push({ id, ttlSeconds })
      return inUse
    },
    async giveBack(id) {
      asked.push({ id })
    },
    ...given,
  }
  const app = createTestApp(t, {
    mask: (text) => text.replaceAll('secret', '[hidden]'),
    databases: { token: TOKEN, getDatabases: () => databases },
  })
  type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
  const call = async (method: Method, url: string, payload?: string, token = TOKEN) => {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
    const options = { method, url, headers, ...(payload !== undefined && { payload }) }
    const response = await app.inject(options)
    const { statusCode: status, body: text } = response
    return { status, headers: response.headers, body: text === '' ? undefined : response.json() }
  }
  return { app, call, asked }
}

test('a database is lent with its URL, which the mask does not touch', async (t) => {
  const { call, asked } = createWorld(t)

  const answer = await call('POST', '/databases')

  t.equal(answer.status, 201)
  t.strictSame(answer.body, { ...shown, url: lent.url, history: lent.history })
  t.match(answer.headers, { location: `/databases/${ID}`, 'cache-control': 'no-store' })
  t.strictSame(asked, [{ ttlSeconds: 300, waitMs: 30_000, label: null, through: undefined }])
})

test('what the body says is passed on', async (t) => {
  const { call, asked } = createWorld(t)
  const body = { ttlSeconds: 5, waitMs: 0, label: 'x', through: '000001' }

  t.equal((await call('POST', '/databases', JSON.stringify(body))).status, 201)
  t.strictSame(asked, [body])
})

for (const [method, url] of [
  ['POST', '/databases'],
  ['GET', '/databases'],
  ['GET', `/databases/${ID}`],
  ['PUT', `/databases/${ID}/expiry`],
  ['DELETE', `/databases/${ID}`],
] as const) {
  test(`${method} ${url} needs the token`, async (t) => {
    const { call, asked } = createWorld(t)
    const without = await call(method, url, undefined, '')
    t.match(without, { status: 401, body: { code: 'token_missing' } })
    const wrong = await call(method, url, undefined, 'wrong')
    t.match(wrong, { status: 403, body: { code: 'token_wrong' } })
    t.strictSame(asked, [])
  })
}

for (const body of [
  '[]',
  'null',
  '{"ttlSeconds": 0}',
  '{"ttlSeconds": "5"}',
  '{"waitMs": -1}',
  '{"label": 5}',
  '{"label": "x\\u0000"}',
  '{"label": "two\\nlines"}',
  '{"through": "latest"}',
  '{"other": 1}',
  '{',
]) {
  test(`POST /databases with ${body} is rejected`, async (t) => {
    const { call, asked } = createWorld(t)
    t.match(await call('POST', '/databases', body), { status: 400, body: { code: 'body_wrong' } })
    t.strictSame(asked, [])
  })
}

test('a wrong body is answered with what was expected, and what was found', async (t) => {
  const { call } = createWorld(t)
  for (const [body, detail] of [
    ['null', 'the body must be a JSON object, found null'],
    ['{"ttlSeconds": 0}', 'ttlSeconds must be from 1 to 86400, found 0'],
    ['{"ttlSeconds": "5"}', 'ttlSeconds must be a whole number, found "5"'],
    [
      JSON.stringify({ label: '東'.repeat(201) }),
      'label must have at most 200 characters, found 201',
    ],
    [
      JSON.stringify({ label: 'two\nlines' }),
      'label must be a text without control characters, found "two\\nlines"',
    ],
    [
      '{"through": "latest"}',
      'through must be the number of a migration, such as 000002, found "latest"',
    ],
    [
      '{"other": 1}',
      'it has the unknown member other, expected only ttlSeconds, label, waitMs, through',
    ],
  ]) {
    const { body: problem } = await call('POST', '/databases', body)
    t.equal(problem.detail, `the body is wrong: ${detail}`)
  }
  const { body: problem } = await call('PUT', `/databases/${ID}/expiry`, '{}')
  t.equal(problem.detail, 'the body is wrong: ttlSeconds is missing')
})

test('a borrower with an empty label is named by its database', (t) => {
  const leases = [
    { ...lease, label: '', connections: 0 },
    { ...lease, connections: 0 },
  ]
  const error = noDatabaseFreeError({ max: 2, waitMs: 5, leases, problem: undefined })
  t.match(error.message, / all 2 are lent \(TEST_DATABASES_MAX\), to bus_test_1, worker 3; /)
  t.end()
})

for (const id of ['xyz', `${ID}0`, '%00', 'x'.repeat(5000)]) {
  test(`the id ${id.slice(0, 50)} is that of no lease`, async (t) => {
    const { call, asked } = createWorld(t)
    const notFound = { status: 404, body: { code: 'lease_not_found' } }
    t.match(await call('GET', `/databases/${id}`), notFound)
    t.match(await call('PUT', `/databases/${id}/expiry`, '{"ttlSeconds": 60}'), notFound)
    t.match(await call('DELETE', `/databases/${id}`), notFound)
    t.strictSame(asked, [])
  })
}

test('leases are listed, shown, extended and ended, without a URL', async (t) => {
  const { call, asked } = createWorld(t)
  const described = { ...shown, connections: 2 }

  t.strictSame((await call('GET', '/databases')).body, [described])
  t.strictSame((await call('GET', `/databases/${ID}`)).body, described)
  const extended = await call('PUT', `/databases/${ID}/expiry`, '{"ttlSeconds": 60}')
  t.match(extended, { status: 200, body: described })
  t.match(await call('PUT', `/databases/${ID}/expiry`), { status: 400 })
  t.match(await call('DELETE', `/databases/${ID}`), { status: 204, body: undefined })
  t.strictSame(asked, [{ id: ID, ttlSeconds: 60 }, { id: ID }])
})

test('DELETE needs no body, whatever a client says about it', async (t) => {
  const { app, call, asked } = createWorld(t)
  const url = `/databases/${ID}`
  const askWithType = (type: string) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': type }
    return app.inject({ method: 'DELETE', url, headers })
  }
  t.equal((await askWithType('application/json')).statusCode, 204)
  t.equal((await askWithType('text/plain')).statusCode, 204)
  t.strictSame(asked, [{ id: ID }, { id: ID }])

  const notReadable = await askWithType('')
  t.match(notReadable.json(), { status: 400, code: 'body_wrong' })
  t.match(await call('DELETE', url, '{'), { status: 400, body: { code: 'body_wrong' } })
  t.equal(asked.length, 2)
})

test('a refusal says when to ask again', async (t) => {
  const error = new ServiceError('no_database_free', 'all are lent', {
    extensions: { lent: [{ ...shown, connections: 0 }], retryAfterSeconds: 7 },
  })
  const { call } = createWorld(t, { lend: () => Promise.reject(error) })

  t.match(await call('POST', '/databases'), {
    status: 429,
    headers: { 'retry-after': '7' },
    body: { code: 'no_database_free', lent: [{ id: ID }], retryAfterSeconds: 7 },
  })
})

test('there are no such routes where none are lent', async (t) => {
  const app = createTestApp(t)
  t.equal((await app.inject({ method: 'POST', url: '/databases' })).statusCode, 404)
})

/** Sends a request over a real connection, which can be cut. */
function send(address: string) {
  const { port } = new URL(address)
  const options = { port, path: '/databases', method: 'POST', agent: false }
  const sent = request({ ...options, headers: { authorization: `Bearer ${TOKEN}` } })
  sent.on('error', () => {})
  sent.end()
  return sent
}

test('a client that disconnects while it waits aborts the wait', async (t) => {
  let waiting: LendOptions | undefined
  const { app } = createWorld(t, {
    lend(options) {
      waiting = options
      return new Promise((_, reject) => {
        options.signal.addEventListener('abort', () => reject(options.signal.reason))
      })
    },
  })
  const sent = send(await app.listen({ port: 0 }))
  await until('the condition', () => waiting !== undefined)
  sent.destroy()

  await until('the condition', () => waiting?.signal.aborted === true)
  t.match(waiting?.signal.reason, { code: 'client_gone' })
})

test('what is lent to a client that has gone is given back', async (t) => {
  const returned: string[] = []
  let lend: ((lent: LentDatabase) => void) | undefined
  let signal: AbortSignal | undefined
  const { app } = createWorld(t, {
    lend: (options) => {
      signal = options.signal
      return new Promise((resolve) => {
        lend = resolve
      })
    },
    giveBack: async (id) => void returned.push(id),
  })
  const sent = send(await app.listen({ port: 0 }))
  await until('the condition', () => lend !== undefined)
  sent.destroy()
  await until('the condition', () => signal?.aborted === true)
  lend?.(lent)

  await until('the condition', () => returned.length > 0)
  t.strictSame(returned, [ID])
})

for (const how of ['destroy', 'resetAndDestroy'] as const) {
  test(`what is lent to a client that disconnects just before the answer is given back: ${how}`, async (t) => {
    const returned: string[] = []
    let lend: ((lent: LentDatabase) => void) | undefined
    const { app } = createWorld(t, {
      lend: () =>
        new Promise((resolve) => {
          lend = resolve
        }),
      giveBack: async (id) => void returned.push(id),
    })
    const sent = send(await app.listen({ port: 0 }))
    await until('the request waits', () => lend !== undefined)
    // In the same turn of the event loop: when the lease is made, the service has not seen the disconnection.
    sent.socket?.[how]()
    lend?.(lent)

    await until('the lease is given back', () => returned.length > 0)
    t.strictSame(returned, [ID])
  })
}

test('what is lent to a client that has read its answer and disconnects is not given back', async (t) => {
  const { app, asked } = createWorld(t)
  const sent = send(await app.listen({ port: 0 }))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  await response.toArray()
  sent.socket?.destroy()
  await app.close()

  t.match(asked, [{ label: null }])
  t.equal(asked.length, 1)
})
