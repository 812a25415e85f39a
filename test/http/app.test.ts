import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'tap'
import { ServiceError } from '../../src/errors/service-error.ts'
import { createTestApp } from '../support/app.ts'
import { becomes } from '../support/becomes.ts'

const PROBLEM = { type: String, title: String, detail: String }

test('an unknown path gets 404 route_not_found', async (t) => {
  const response = await createTestApp(t).inject('/nowhere?token=hush')

  t.equal(response.statusCode, 404)
  t.match(response.headers['content-type'], /^application\/problem\+json/)
  t.match(response.json(), { ...PROBLEM, status: 404, code: 'route_not_found' })
  t.notMatch(response.body, 'hush')
})

for (const path of [
  '/:a(',
  '/*a',
  '/:',
  '/(',
  '/[',
  '/livez/*',
  '/:path',
  '//livez',
  '/..%2flivez',
]) {
  test(`the unknown path ${path} gets 404`, async (t) => {
    const response = await createTestApp(t).inject(path)

    t.match(response.json(), { ...PROBLEM, status: 404, code: 'route_not_found' })
  })
}

test('an unknown path is not repeated at length', async (t) => {
  const response = await createTestApp(t).inject(`/${'x'.repeat(10_000)}`)

  t.match(response.json(), { status: 404, detail: /xxx…/ })
  t.ok(response.body.length < 400)
})

test('a path with a parameter names the methods that it accepts', async (t) => {
  const app = createTestApp(t)
  app.get('/things/:id', async () => 'a thing')
  app.delete('/things/:id', async () => 'no thing')

  const response = await app.inject({ method: 'POST', url: '/things/1' })

  t.match(response.json(), { status: 405, code: 'method_not_allowed' })
  t.equal(response.headers.allow, 'DELETE, GET, HEAD')
})

test('a wrong method gets 405 with the methods that the path accepts', async (t) => {
  const app = createTestApp(t)

  for (const url of ['/livez', '/readyz', '/health', '/status']) {
    const response = await app.inject({ method: 'DELETE', url })
    t.match(response.json(), { ...PROBLEM, status: 405, code: 'method_not_allowed' })
    t.equal(response.headers.allow, 'GET, HEAD')
  }
})

test('each kind of unreadable body has its own code', async (t) => {
  const app = createTestApp(t)
  app.post('/echo', async (request) => request.body)
  const post = (payload: string, type: string) =>
    app.inject({ method: 'POST', url: '/echo', payload, headers: { 'content-type': type } })

  t.match((await post('{"a":', 'application/json')).json(), { status: 400, code: 'body_not_json' })
  t.match((await post('', 'application/json')).json(), { status: 400, code: 'body_not_json' })
  t.match((await post('<a/>', 'text/xml')).json(), { status: 415, code: 'unsupported_media_type' })
  const large = JSON.stringify('x'.repeat(70_000))
  t.match((await post(large, 'application/json')).json(), { status: 413, code: 'body_too_large' })
  t.match((await post('{"a":1}', 'application/json')).json(), { a: 1 })
})

test('a schema that cannot be compiled is not the fault of the request', async (t) => {
  const app = createTestApp(t)
  app.post('/broken', { schema: { body: { type: 'nonsense' } } }, async () => 'never')

  const response = await app.inject({ method: 'POST', url: '/broken', payload: {} })

  t.match(response.json(), { status: 500, code: 'internal_error' })
})

test('the body of a request without a route is not read', async (t) => {
  const app = createTestApp(t)
  const headers = { 'content-type': 'application/json' }
  const post = (url: string) => app.inject({ method: 'POST', url, payload: '{"a":', headers })

  t.match((await post('/nowhere')).json(), { status: 404, code: 'route_not_found' })
  t.match((await post('/livez')).json(), { status: 405, code: 'method_not_allowed' })
})

test('a path that cannot be decoded gets 400', async (t) => {
  const response = await createTestApp(t).inject('/%zz')

  t.match(response.json(), { ...PROBLEM, status: 400, code: 'bad_request' })
})

test('bytes that are not HTTP also get a problem document', async (t) => {
  const app = createTestApp(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }

  const answer = await new Promise<string>((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write('HELO\r\n\r\n'))
    socket.on('data', (data) => {
      text += data
    })
    socket.on('close', () => resolve(text))
  })

  t.match(answer, /^HTTP\/1\.1 400 .*application\/problem\+json/s)
  t.match(JSON.parse(answer.split('\r\n\r\n')[1] ?? ''), { status: 400, code: 'bad_request' })
})

test('a foreseen error shows its code and members, an unforeseen one shows nothing', async (t) => {
  const app = createTestApp(t)
  app.get('/foreseen', async () => {
    const extensions = { sizes: [1, 2], status: 200, code: 'hijacked' }
    throw new ServiceError('schema_changed', 'too much', { extensions })
  })
  app.get('/unforeseen', async () => {
    throw new Error('an internal detail')
  })

  t.match((await app.inject('/foreseen')).json(), {
    title: 'Conflict',
    status: 409,
    code: 'schema_changed',
    detail: 'too much',
    sizes: [1, 2],
  })
  const unforeseen = await app.inject('/unforeseen')
  t.match(unforeseen.json(), { status: 500, code: 'internal_error' })
  t.notMatch(unforeseen.body, 'internal detail')
})

test('secrets are removed from texts, but not from keys', async (t) => {
  const app = createTestApp(t, { mask: (text) => text.replaceAll('secret', '…') })
  app.get('/deep', async () => ({ secret: ['a secret', { n: 1, none: null }] }))

  const response = await app.inject('/deep')

  t.strictSame(response.json(), { secret: ['a …', { n: 1, none: null }] })
})

test('a closing app finishes the request in flight and accepts no new one', async (t) => {
  const app = createTestApp(t)
  const slow = new EventEmitter()
  app.get('/slow', async () => {
    slow.emit('entered')
    await once(slow, 'go on')
    return 'done'
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const entered = once(slow, 'entered')
  const inFlight = fetch(`${address}/slow`)
  await entered

  const closed = app.close()
  await t.rejects(fetch(`${address}/livez`))
  slow.emit('go on')

  t.equal(await (await inFlight).text(), 'done')
  await closed
})

for (const [what, sent] of [
  ['nothing', ''],
  ['a part of its headers', 'GET /livez HTTP/1.1\r\nHost: a\r\n'],
  ['a part of its body', 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc'],
] as const) {
  test(`a connection that has sent ${what} does not keep the app open`, async (t) => {
    const app = createTestApp(t)
    app.post('/echo', async (request) => request.body)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as { port: number }
    const connected = once(app.server, 'connection')
    const socket = connect(port, '127.0.0.1', () => socket.write(sent)).on('error', () => {})
    t.teardown(() => socket.destroy())
    const [peer] = await connected
    await becomes(t, async () => peer.bytesRead, sent.length)

    let isClosed = false
    void app.close().then(() => {
      isClosed = true
    })

    // The deadline is shorter than the time limit of a request.
    await becomes(t, async () => isClosed, true)
  })
}
