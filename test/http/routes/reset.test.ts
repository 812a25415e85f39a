import { EventEmitter, once } from 'node:events'
import { request } from 'node:http'
import { type Test, test } from 'tap'
import { notDisposableError } from '../../../src/baseline/disposable.ts'
import { ServiceError } from '../../../src/errors/service-error.ts'
import { createReadiness, type ReadinessState } from '../../../src/readiness.ts'
import { assertReadyForReset } from '../../../src/reset/assert-ready.ts'
import type { ResetOptions, ResetReport } from '../../../src/reset/resetter.ts'
import { createTestApp } from '../../support/app.ts'
import { becomes } from '../../support/becomes.ts'

const TOKEN = 'a-token-long-enough'
const PRODUCTION = { name: 'production', host: 'db', port: 5432 }
const READY: ReadinessState = { ready: true }
const MIGRATING: ReadinessState = { ready: false, reason: 'migrating', detail: '1 of 2' }
const FAILED: ReadinessState = { ready: false, reason: 'migration_failed', detail: 'a failure' }

const REPORT: ResetReport = {
  mode: 'data',
  durationMs: 1,
  tables: { emptied: [], restored: [] },
  sequences: [],
  queues: { emptied: [], dropped: [] },
  partitions: { dropped: [] },
}

interface World {
  readonly isEnabled?: boolean
  readonly isDisposable?: boolean
  readonly state?: ReadinessState
}

/** Creates the HTTP side of a service whose database is marked disposable, or is not. */
function createWorld(t: Test, { isEnabled = true, isDisposable = true, state = READY }: World) {
  const readiness = createReadiness()
  readiness.set(state)
  const resets: ResetOptions[] = []
  const app = createTestApp(t, {
    readiness,
    reset: isEnabled
      ? {
          token: TOKEN,
          assertReady: (mode) => assertReadyForReset(readiness, mode),
          reset: async (options) => {
            if (!isDisposable) throw notDisposableError(PRODUCTION)
            const { assertWanted: _, ...asked } = options
            resets.push(asked)
            return { ...REPORT, mode: options.mode }
          },
        }
      : undefined,
  })
  const post = async (
    authorization?: string,
    payload?: string,
    type: string | null = 'application/json',
  ) => {
    const headers = {
      ...(authorization !== undefined && { authorization }),
      ...(payload !== undefined && type !== null && { 'content-type': type }),
    }
    const response = await app.inject({
      method: 'POST',
      url: '/reset',
      headers,
      ...(payload !== undefined && { payload }),
    })
    return {
      status: response.statusCode,
      body: response.json(),
      type: response.headers['content-type'],
      challenge: response.headers['www-authenticate'],
    }
  }
  return { app, post, resets, readiness }
}

test('switch, token, body, readiness and the disposable mark are checked in this order', async (t) => {
  const tokens = { none: undefined, wrong: 'Bearer wrong', right: `Bearer ${TOKEN}` }
  for (const isEnabled of [false, true]) {
    for (const [token, authorization] of Object.entries(tokens)) {
      for (const body of ['{}', '[]']) {
        for (const state of [READY, MIGRATING]) {
          for (const isDisposable of [false, true]) {
            const { post, resets } = createWorld(t, { isEnabled, isDisposable, state })

            const { status, body: answer } = await post(authorization, body)

            const expected = expect({ isEnabled, token, body, state, isDisposable })
            const cell = JSON.stringify({ isEnabled, token, body, state, isDisposable })
            t.same([status, answer.code], expected, cell)
            t.equal(resets.length, status === 200 ? 1 : 0, cell)
          }
        }
      }
    }
  }
})

function expect(cell: World & { token: string; body: string }): [number, string | undefined] {
  if (!cell.isEnabled) return [404, 'route_not_found']
  if (cell.token === 'none') return [401, 'token_missing']
  if (cell.token === 'wrong') return [403, 'token_wrong']
  if (cell.body !== '{}') return [400, 'body_wrong']
  if (cell.state?.ready !== true) return [503, 'not_ready']
  if (!cell.isDisposable) return [403, 'database_not_disposable']
  return [200, undefined]
}

test('only a bearer header with the whole token is accepted', async (t) => {
  const { post, resets } = createWorld(t, {})

  for (const header of ['', 'Bearer', 'Bearer ', `Basic ${TOKEN}`, TOKEN]) {
    t.match(await post(header), { status: 401, challenge: 'Bearer' }, header)
  }
  for (const header of [`Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, 'Bearer \u00e9']) {
    t.equal((await post(header)).status, 403, header)
  }
  t.equal(resets.length, 0)
  t.equal((await post(`bearer ${TOKEN}`)).status, 200)
})

test('every kind of wrong body gets 400 and resets nothing', async (t) => {
  const { post, resets } = createWorld(t, {})
  const wrong = [
    'null',
    '1',
    '"data"',
    'true',
    '[]',
    '{',
    'data',
    ' ',
    '{"mode": "all"}',
    '{"mode": null}',
    '{"mode": 1}',
    '{"mode": ["data"]}',
    '{"lockTimeoutMs": "2000"}',
    '{"lockTimeoutMs": -1}',
    '{"lockTimeoutMs": 1.5}',
    '{"lockTimeoutMs": 1e99}',
    '{"lockTimeoutMs": null}',
    '{"terminateBlockers": 1}',
    '{"terminateBlockers": "true"}',
    '{"terminateBlockers": null}',
    '{"unknown": 1}',
    '{"__proto__": {"mode": "data"}}',
    `{"mode": "data"${' '.repeat(70_000)}}`,
  ]

  for (const body of wrong) {
    const { status, body: answer, type } = await post(`Bearer ${TOKEN}`, body)
    t.same([status, answer.code], [400, 'body_wrong'], body.slice(0, 40))
    t.match(type, /problem\+json/)
  }
  t.equal(
    (await post(`Bearer ${TOKEN}`, 'mode=data', 'application/x-www-form-urlencoded')).status,
    400,
  )
  t.equal(resets.length, 0)
})

test('options in the query are rejected rather than ignored', async (t) => {
  const { app, resets } = createWorld(t, {})
  const headers = { authorization: `Bearer ${TOKEN}` }

  const answer = await app.inject({ method: 'POST', url: '/reset?mode=rebuild', headers })

  t.equal(answer.statusCode, 400)
  t.match(answer.json(), { code: 'bad_request', detail: /^POST \/reset .* JSON body.*"mode"/ })
  t.strictSame(resets, [])
  const stranger = await app.inject({ method: 'POST', url: '/reset?mode=rebuild' })
  t.equal(stranger.statusCode, 401, 'the token comes first')
})

test('the body and each of its members are optional', async (t) => {
  const { post, resets } = createWorld(t, {})

  await post(`Bearer ${TOKEN}`)
  await post(`Bearer ${TOKEN}`, '')
  await post(`Bearer ${TOKEN}`, '{}', 'text/plain')
  await post(`Bearer ${TOKEN}`, '{}', null)
  await post(
    `Bearer ${TOKEN}`,
    '{"mode": "rebuild", "lockTimeoutMs": 0, "terminateBlockers": true}',
  )

  const defaults = { mode: 'data', lockTimeoutMs: 2000, terminateBlockers: false }
  t.same(resets, [
    defaults,
    defaults,
    defaults,
    defaults,
    { mode: 'rebuild', lockTimeoutMs: 0, terminateBlockers: true },
  ])
})

test('after a failed migration a rebuild is accepted, a reset of the data is not', async (t) => {
  const { post } = createWorld(t, { state: FAILED })

  t.match(await post(`Bearer ${TOKEN}`), { status: 503, body: { reason: 'migration_failed' } })
  t.equal((await post(`Bearer ${TOKEN}`, '{"mode": "rebuild"}')).status, 200)
})

test('after an interrupted reset the service is not ready, but accepts a reset', async (t) => {
  const { post, readiness } = createWorld(t, {})

  readiness.setResetProblem('sequences are behind')

  t.match(readiness.current, { ready: false, reason: 'database_unavailable' })
  t.equal((await post(`Bearer ${TOKEN}`)).status, 200)
})

test('no error response contains a token', async (t) => {
  const { post } = createWorld(t, { isDisposable: false })

  for (const header of [undefined, 'Bearer guessed-token', `Bearer ${TOKEN}`]) {
    const text = JSON.stringify((await post(header)).body)
    t.notMatch(text, new RegExp(`${TOKEN}|guessed-token`))
  }
  t.ok(notDisposableError(PRODUCTION) instanceof ServiceError)
})

test('a reset stops being wanted when its client disconnects, but not when it is answered', async (t) => {
  const asked: (() => void)[] = []
  const answer = new EventEmitter()
  const app = createTestApp(t, {
    reset: {
      token: TOKEN,
      assertReady: () => {},
      reset: async ({ assertWanted = () => {} }) => {
        asked.push(assertWanted)
        await once(answer, 'now')
        return REPORT
      },
    },
  })
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/reset`
  const isWanted = (index: number) => {
    try {
      asked[index]?.()
      return true
    } catch (error) {
      return (error as ServiceError).code
    }
  }
  const send = () =>
    request(url, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } })
      .on('error', () => {})
      .end()

  const gone = send()
  await becomes(t, async () => asked.length, 1)
  t.equal(isWanted(0), true, 'while the client waits')
  gone.destroy()
  await becomes(t, async () => isWanted(0), 'client_gone')

  const patient = send()
  await becomes(t, async () => asked.length, 2)
  const answered = once(patient, 'response')
  answer.emit('now')
  const [response] = await answered
  t.equal(response.statusCode, 200)
  await once(response.resume(), 'close')
  t.equal(isWanted(1), true, 'after its answer')
})
