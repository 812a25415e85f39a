import pino from 'pino'
import { test } from 'tap'
import { createTestApp } from '../support/app.ts'

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const ask = (app: ReturnType<typeof createTestApp>, id?: string, url = '/livez') =>
  app.inject({ url, headers: id === undefined ? {} : { 'x-request-id': id } })

test('an answer has the id that the client gave, if it is short and plain', async (t) => {
  const app = createTestApp(t)

  for (const id of ['a', 'checkout-7.b_1:2', 'x'.repeat(64)]) {
    t.equal((await ask(app, id)).headers['x-request-id'], id)
  }
  for (const id of ['', 'x'.repeat(65), 'two words', 'a"b', 'ä', 'one, two']) {
    t.match((await ask(app, id)).headers['x-request-id'], UUID, id)
  }
})

test('each request without an id gets another one, also where it fails', async (t) => {
  const app = createTestApp(t)

  const answers = [await ask(app), await ask(app), await ask(app, undefined, '/nowhere')]
  answers.push(await ask(app, undefined, '/%zz'))
  answers.push(await app.inject({ url: '/livez', headers: { host: 'elsewhere.example' } }))

  const ids = answers.map(({ headers }) => headers['x-request-id'])
  for (const id of ids) t.match(id, UUID)
  t.equal(new Set(ids).size, answers.length)
})

test('an unforeseen error has its id in the answer and in the log, and a probe has no line', async (t) => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) })
  const app = createTestApp(t, { log })
  app.get('/broken', async () => {
    throw new Error('unforeseen')
  })

  for (const probe of ['/livez', '/readyz', '/health', '/nowhere']) await ask(app, 'quiet', probe)
  const { headers, json } = await ask(app, 'loud', '/broken')

  t.equal(headers['x-request-id'], 'loud')
  t.match(json(), { code: 'internal_error', requestId: 'loud' })
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), { reqId: 'loud', msg: 'request failed', url: '/broken' })
})
