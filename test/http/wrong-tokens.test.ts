import { test } from 'tap'
import { createWrongTokens } from '../../src/http/wrong-tokens.ts'
import type { Log } from '../../src/logger.ts'
import { createTestApp } from '../support/app.ts'

const REPORT = {
  mode: 'data' as const,
  durationMs: 1,
  tables: { emptied: [], restored: [] },
  sequences: [],
  queues: { emptied: [], dropped: [] },
  partitions: { dropped: [] },
}

function createLog() {
  const lines: unknown[][] = []
  const write = (...line: unknown[]) => lines.push(line)
  return { lines, log: { debug: write, info: write, warn: write, error: write } as unknown as Log }
}

test('the eleventh wrong token of an address within a minute is too many', async (t) => {
  let now = 0
  const wrongTokens = createWrongTokens(createLog().log, () => now)
  t.teardown(() => wrongTokens.close())

  for (let i = 0; i < 10; i++) t.equal(wrongTokens.add('10.0.0.1'), undefined)
  t.equal(wrongTokens.add('10.0.0.1'), 60)
  t.equal(wrongTokens.add('::ffff:10.0.0.1'), 60, 'the same address')
  t.equal(wrongTokens.add('10.0.0.2'), undefined, 'another address')
  now = 59_500
  t.equal(wrongTokens.add('10.0.0.1'), 1)
  now = 60_000
  t.equal(wrongTokens.add('10.0.0.1'), undefined, 'a minute later')
})

test('the addresses of one IPv6 network count together', async (t) => {
  const wrongTokens = createWrongTokens(createLog().log, () => 0)
  t.teardown(() => wrongTokens.close())

  for (let i = 0; i < 10; i++) wrongTokens.add(`2001:db8:1:2:${i}::9`)

  t.equal(wrongTokens.add('2001:db8:1:2::1'), 60)
  t.equal(wrongTokens.add('2001:db8:1:3::1'), undefined)
  t.equal(wrongTokens.add('2001:db8::1'), undefined)
})

test('memory is bounded: of many addresses the first is forgotten', async (t) => {
  const wrongTokens = createWrongTokens(createLog().log, () => 0)
  t.teardown(() => wrongTokens.close())
  for (let i = 0; i < 11; i++) wrongTokens.add('10.0.0.1')

  for (let i = 0; i < 10_000; i++) wrongTokens.add(`11.0.${i >> 8}.${i & 255}`)

  t.equal(wrongTokens.add('10.0.0.1'), undefined)
})

test('they are logged with their number, once a minute', async (t) => {
  const { log, lines } = createLog()
  const wrongTokens = createWrongTokens(log, () => 0)

  for (let i = 0; i < 4650; i++) wrongTokens.add('10.0.0.1')
  wrongTokens.add('10.0.0.2')
  t.equal(lines.length, 0)
  wrongTokens.close()
  wrongTokens.close()

  t.match(lines, [[{ wrongTokens: 4651, addressCount: 2 }, /wrong token/]])
  t.equal(lines.length, 1)
})

test('POST /reset answers 429 to too many wrong tokens, and always accepts the right one', async (t) => {
  const app = createTestApp(t, {
    reset: {
      token: 'the-right-token-of-16',
      assertReady: () => {},
      reset: async () => REPORT,
    },
  })
  const post = (token?: string) =>
    app.inject({
      method: 'POST',
      url: '/reset',
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    })

  for (let i = 0; i < 20; i++) t.equal((await post()).statusCode, 401, 'no token is not a guess')
  for (let i = 0; i < 10; i++) t.equal((await post('wrong')).json().code, 'token_wrong')
  const refused = await post('wrong')

  t.match(refused.json(), { status: 429, code: 'too_many_wrong_tokens' })
  t.match(refused.headers['retry-after'], /^([1-9]|[1-5]\d|60)$/)
  t.match(refused.headers['content-type'], /^application\/problem\+json/)
  t.equal((await post('the-right-token-of-16')).statusCode, 200)
  t.equal((await post('wrong')).statusCode, 429)
})
