import { type Test, test } from 'tap'
import { ServiceError } from '../../src/errors/service-error.ts'
import { createReadiness } from '../../src/readiness.ts'
import { createResetter } from '../../src/reset/resetter.ts'
import { until } from '../support/until.ts'
import { createResetWorld } from './world.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }
const DATA = { mode: 'data', lockTimeoutMs: 1000, terminateBlockers: false } as const

test('an error during a reset is reported by what it means', async (t) => {
  for (const [failure, expected] of [
    [{ code: '57014' }, { code: 'reset_canceled', statusCode: 503 }],
    [{ code: '57P01' }, { code: 'database_lost', statusCode: 503 }],
    [{ code: 'ECONNRESET' }, { code: 'database_lost', statusCode: 503 }],
    [{ message: 'Connection terminated unexpectedly' }, { code: 'database_lost', statusCode: 503 }],
    [{ code: '53100' }, { code: 'out_of_resources', statusCode: 503 }],
    [{ code: '53200' }, { code: 'out_of_resources', statusCode: 503 }],
    [{ message: 'a programming error' }, { message: 'a programming error' }],
  ] as const) {
    const { resetter, readiness } = await createFailing(t, { attempt: failure })

    await t.rejects(resetter.reset(DATA), expected, JSON.stringify(failure))

    await until('the outcome is checked', () => readiness.current.ready)
  }
})

test('the service is not ready until it knows what an interrupted reset changed', async (t) => {
  const { resetter, readiness, problems } = await createFailing(t, {
    attempt: { code: '57P01' },
    // What a server reports while it restarts, and another service that is resetting.
    open: ['ECONNREFUSED', '57P03', '53300', '55P03'],
  })

  await t.rejects(resetter.reset(DATA), { code: 'database_lost' })

  t.match(readiness.current, { ready: false, reason: 'database_unavailable' })
  await until('the outcome is checked', () => readiness.current.ready)
  t.same(problems, ['a reset was interrupted; checking what it changed', undefined])
})

test('an error that is decided before anything is changed leaves the service ready', async (t) => {
  const { resetter, problems } = await createFailing(t, {
    attempt: new ServiceError('schema_changed', 'the schema changed'),
  })

  await t.rejects(resetter.reset(DATA), { code: 'schema_changed' })

  t.same(problems, [])
})

test('a reset that was queued is rejected if the service is not ready when its turn comes', async (t) => {
  const { resetter, readiness } = await createFailing(t, {})
  const first = resetter.reset(DATA)
  const second = resetter.reset(DATA)
  void first.then(() => readiness.set({ ready: false, reason: 'stopping', detail: 'stopping' }))

  await first

  await t.rejects(second, { code: 'not_ready', extensions: { reason: 'stopping' } })
  t.equal(resetter.stats.count, 1)
})

/** A resetter whose first attempt fails, and whose next sessions fail with these codes, one each. */
async function createFailing(
  t: Test,
  failures: { readonly attempt?: object; readonly open?: readonly string[] },
) {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things ()',
  })
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const problems: (string | undefined)[] = []
  const remaining = [...(failures.open ?? [])]
  let hasFailed = failures.attempt === undefined
  const resetter = createResetter({
    sessions: {
      ...world.sessions,
      async open() {
        if (!hasFailed) {
          hasFailed = true
          const failure = failures.attempt
          throw failure instanceof Error ? failure : Object.assign(new Error('failed'), failure)
        }
        const code = remaining.shift()
        if (code !== undefined) throw Object.assign(new Error('cannot connect'), { code })
        return world.sessions.open()
      },
    },
    database: world.database,
    readiness: Object.assign(Object.create(readiness), {
      setResetProblem(problem: string | undefined) {
        problems.push(problem)
        readiness.setResetProblem(problem)
      },
    }),
    log,
    migrate: async () => {},
  })
  return { resetter, readiness, problems }
}
