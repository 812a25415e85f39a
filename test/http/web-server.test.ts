// The server listens before there is an app to answer.
import { once } from 'node:events'
import { connect } from 'node:net'
import { type Test, test } from 'tap'
import { createWebServer } from '../../src/http/web-server.ts'
import { createTestApp } from '../support/app.ts'
import { settled, until } from '../support/until.ts'

/** A web server that listens, and whose app is made when the test says so. */
async function listen(t: Test) {
  let make = (_outcome: 'made' | 'failed') => {}
  let asked = 0
  const made = new Promise<void>((resolve, reject) => {
    make = (outcome) => (outcome === 'made' ? resolve() : reject(new Error('not today')))
  })
  made.catch(() => {})
  const events: unknown[] = []
  const web = createWebServer({
    onEvent: (event) => events.push(event),
    prepareApp() {
      asked++
      return made
    },
  })
  const app = createTestApp(t, { web })
  web.server.listen(0, '127.0.0.1')
  await once(web.server, 'listening')
  t.teardown(() => web.server.close())
  const { port } = web.server.address() as { port: number }
  return {
    ...{ web, events, port },
    url: `http://127.0.0.1:${port}`,
    asked: () => asked,
    async make(outcome: 'made' | 'failed' = 'made') {
      await app.ready()
      make(outcome)
    },
  }
}

test('requests that come before there is an app are answered once there is one', async (t) => {
  const { url, make, asked } = await listen(t)
  const answers = ['/livez', '/livez', '/nowhere'].map((path) => fetch(`${url}${path}`))
  await until('they have asked for it', () => asked() === 3)

  await make()

  const statuses = (await settled('all are answered', Promise.all(answers))).map((a) => a.status)
  t.strictSame(statuses, [200, 200, 404])
  t.equal((await fetch(`${url}/livez`)).status, 200)
  t.equal(asked(), 3, 'later ones do not ask')
})

test('where there will be no app, a request ends', async (t) => {
  const { url, make, asked } = await listen(t)
  const answer = fetch(`${url}/livez`)
  answer.catch(() => {})
  await until('it has asked', () => asked() === 1)

  await make('failed')

  await t.rejects(settled('the request ends', answer))
})

test('what is not HTTP is rejected before there is an app, and reported once', async (t) => {
  const { port, events, asked } = await listen(t)
  const socket = connect(port, '127.0.0.1')
  socket.write('this is not HTTP\r\n\r\n')
  let answer = ''
  for await (const piece of socket) answer += piece

  t.match(answer, /^HTTP\/1\.1 400 .*"code":"bad_request"/s)
  t.match(events, [{ kind: 'request', status: 400 }])
  t.equal(asked(), 0)
})

test('a server without an app closes at once, also with a connection that is silent', async (t) => {
  const { port, web } = await listen(t)
  const silent = connect(port, '127.0.0.1')
  await once(silent, 'connect')
  await until('it is accepted', async () => {
    const count = await new Promise<number>((resolve) =>
      web.server.getConnections((_, found) => resolve(found)),
    )
    return count === 1
  })

  const closed = once(web.server, 'close')
  web.server.close()
  web.drain()

  await settled('it closes', closed)
  t.notOk(web.server.listening)
})
