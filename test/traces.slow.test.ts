import { test } from 'tap'
import { createStartTrace } from '../src/traces.ts'
import { openCollector, plainAttributes } from './support/collector.ts'
import { until } from './support/until.ts'

function createWorld(endpoint: string, closeMs = 20_000) {
  const warnings: object[] = []
  const trace = createStartTrace({
    ...{ endpoint, closeMs, startedAt: new Date(Date.now() - 1000) },
    mask: (text) => text.replaceAll('secret', '[hidden]'),
    log: { debug: () => {}, warn: (facts: unknown) => void warnings.push(facts as object) },
  })
  return { trace, warnings }
}

test('a start is one span, with an event for each migration, however many', async (t) => {
  const collector = await openCollector(t)
  const { trace, warnings } = createWorld(`${collector.endpoint}/`)

  for (let i = 1; i <= 300; i++) {
    trace.onEvent({ kind: 'migration_applied', filename: `${i}.sql`, durationMs: i })
  }
  trace.onEvent({ kind: 'ready', applied: 300, startMs: 5 })
  trace.onEvent({ kind: 'ready', applied: 300, startMs: 5 })
  await trace.close()

  t.equal(collector.spans.length, 1)
  const [span] = collector.spans
  t.match(span, { name: 'start', status: { code: 1 } })
  t.match(plainAttributes(span?.attributes), {
    'commandbus_db.start.outcome': 'ready',
    'commandbus_db.start.migrations_applied': 300,
  })
  t.equal(span?.events?.length, 300)
  t.match(span?.events?.[0], { name: 'migration applied' })
  t.strictSame(plainAttributes(span?.events?.[0]?.attributes), {
    'commandbus_db.migration.filename': '1.sql',
    'commandbus_db.migration.duration_ms': 1,
  })
  const durationMs = (Number(span?.endTimeUnixNano) - Number(span?.startTimeUnixNano)) / 1e6
  t.ok(durationMs >= 990, `from the start of the process: ${durationMs} ms`)
  t.strictSame(warnings, [])
})

test('a failed start is a span with the masked error, an interrupted one says so', async (t) => {
  const collector = await openCollector(t)
  const failed = createWorld(collector.endpoint)
  failed.trace.onEvent({ kind: 'start_failed', code: 'migration_failed', message: 'a secret line' })
  await failed.trace.close()
  const stopped = createWorld(collector.endpoint)
  await stopped.trace.close()

  const [first, second] = collector.spans
  t.match(first, { status: { code: 2, message: 'a [hidden] line' } })
  t.match(plainAttributes(first?.attributes), { 'error.type': 'migration_failed' })
  t.match(plainAttributes(second?.attributes), { 'commandbus_db.start.outcome': 'stopped' })
})

test('a collector that is down, or refuses, is a warning', async (t) => {
  const collector = await openCollector(t)
  for (const endpoint of ['http://127.0.0.1:1', `${collector.endpoint}/elsewhere`]) {
    const { trace, warnings } = createWorld(endpoint)
    trace.onEvent({ kind: 'ready', applied: 0, startMs: 5 })
    await until('a warning', () => warnings.length === 1)
    await trace.close()
    t.match(warnings, [{ reason: /\S/ }])
  }
})

test('a silent collector does not hold up a stop', async (t) => {
  const collector = await openCollector(t, { isSilent: true })
  const { trace, warnings } = createWorld(collector.endpoint, 50)
  trace.onEvent({ kind: 'ready', applied: 0, startMs: 5 })
  await until('a request', () => collector.requests === 1)

  await trace.close()

  t.strictSame(warnings, [], 'it was still waiting')
})
