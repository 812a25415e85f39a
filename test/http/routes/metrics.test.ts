import { test } from 'tap'
import { createMetrics } from '../../../src/metrics.ts'
import { createReadiness } from '../../../src/readiness.ts'
import { createTestApp } from '../../support/app.ts'
import { parseMetrics } from '../../support/metrics.ts'

const COUNT = 'commandbus_db_http_request_duration_seconds_count'

function createWorld(t: Parameters<typeof createTestApp>[0]) {
  const metrics = createMetrics({ readiness: createReadiness(), pool: () => undefined })
  return createTestApp(t, { readMetrics: metrics.read, onEvent: metrics.onEvent })
}

test('GET /metrics answers in the text format of Prometheus', async (t) => {
  const response = await createWorld(t).inject('/metrics')

  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(response.body, /^# TYPE process_cpu_seconds_total counter$/m)
  t.match(response.body, /^# TYPE commandbus_db_ready gauge$/m)
})

test('requests are counted by the pattern of their route, whatever their path and method', async (t) => {
  const app = createWorld(t)
  app.get('/things/:id', async () => 'a thing')
  for (const id of ['1', '2?token=hush']) await app.inject(`/things/${id}`)
  for (let i = 0; i < 20; i++) await app.inject(`/unknown-${i}`)
  await app.inject({ method: 'PATCH' as 'GET', url: '/livez' })
  await app.inject({ method: 'DELETE', url: '/livez' })
  await app.inject({ method: 'HEAD', url: '/livez' })

  const { body } = await app.inject('/metrics')

  const counts = Object.entries(parseMetrics(body)).filter(([series]) => series.startsWith(COUNT))
  t.strictSame(Object.fromEntries(counts), {
    [`${COUNT}{route="/things/:id",method="GET",status="200"}`]: 2,
    [`${COUNT}{route="unmatched",method="GET",status="404"}`]: 20,
    [`${COUNT}{route="unmatched",method="other",status="405"}`]: 1,
    [`${COUNT}{route="unmatched",method="DELETE",status="405"}`]: 1,
    [`${COUNT}{route="/livez",method="HEAD",status="200"}`]: 1,
  })
  t.notMatch(body, 'hush')
})

test('an error has the status of its answer', async (t) => {
  const app = createWorld(t)
  app.get('/broken', async () => {
    throw new Error('unforeseen')
  })
  await app.inject('/broken')

  const { body } = await app.inject('/metrics')

  t.match(parseMetrics(body), { [`${COUNT}{route="/broken",method="GET",status="500"}`]: 1 })
})

test('a flood of scrapes gets the last answer', async (t) => {
  let reads = 0
  const readMetrics = async () => ({ contentType: 'text/plain', text: `${++reads}` })
  const app = createTestApp(t, { readMetrics })

  for (let i = 0; i < 100; i++) t.equal((await app.inject('/metrics')).statusCode, 200)

  // A second may pass on a busy machine, and each has its own ten.
  t.ok(reads >= 10 && reads < 100, `${reads} reads`)
})
