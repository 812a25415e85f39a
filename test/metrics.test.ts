import { execFileSync } from 'node:child_process'
import { test } from 'tap'
import type { MetricsSources } from '../src/metrics/recorder.ts'
import { createMetrics } from '../src/metrics.ts'
import { createReadiness } from '../src/readiness.ts'
import { parseMetrics } from './support/metrics.ts'
import { findMissingPromtool } from './support/promtool.ts'

const createSources = (given: Partial<MetricsSources> = {}): MetricsSources => ({
  readiness: createReadiness(),
  pool: () => ({ size: 3, idle: 2, waiting: 1, max: 5 }),
  ...given,
})

const readOf = async (metrics: ReturnType<typeof createMetrics>) =>
  parseMetrics((await metrics.read()).text)

test('what happened before the first scrape is counted', async (t) => {
  const metrics = createMetrics(createSources())
  metrics.onEvent({ kind: 'history_read', applied: 1, pending: 3 })
  metrics.onEvent({ kind: 'migration_applied', filename: '000002.sql', durationMs: 40 })
  metrics.onEvent({ kind: 'migration_applied', filename: '000003.sql', durationMs: 2000 })
  metrics.onEvent({ kind: 'reset', mode: 'data', outcome: 'locked', durationMs: 2 })
  const livez = { kind: 'request', route: '/livez', method: 'GET', durationMs: 0.5 } as const
  metrics.onEvent({ ...livez, status: 200 })

  const first = await readOf(metrics)
  metrics.onEvent({ ...livez, status: 200 })
  metrics.onEvent({ kind: 'reset', mode: 'data', outcome: 'succeeded', durationMs: 12 })
  metrics.onEvent({ kind: 'ready', applied: 4, startMs: 1500 })
  const second = await readOf(metrics)

  t.match(first, {
    commandbus_db_migrations_applied: 3,
    commandbus_db_migrations_pending: 1,
    'commandbus_db_migration_duration_seconds_bucket{le="0.05"}': 1,
    commandbus_db_migration_duration_seconds_sum: 2.04,
    commandbus_db_migration_duration_seconds_count: 2,
    'commandbus_db_resets_total{mode="data",outcome="locked"}': 1,
    'commandbus_db_http_request_duration_seconds_count{route="/livez",method="GET",status="200"}': 1,
  })
  t.equal(first.commandbus_db_start_duration_seconds, undefined)
  t.match(second, {
    commandbus_db_migrations_applied: 4,
    commandbus_db_migrations_pending: 0,
    commandbus_db_start_duration_seconds: 1.5,
    'commandbus_db_resets_total{mode="data",outcome="succeeded"}': 1,
    'commandbus_db_reset_duration_seconds_count{mode="data"}': 1,
    'commandbus_db_http_request_duration_seconds_count{route="/livez",method="GET",status="200"}': 2,
  })
})

test('many requests before the first scrape are counted, too', async (t) => {
  const metrics = createMetrics(createSources())
  for (let i = 0; i < 5000; i++) {
    metrics.onEvent({
      ...{ kind: 'request', route: '/livez', method: 'GET', status: 200, durationMs: 1 },
    })
  }

  const read = await readOf(metrics)

  const count = 'commandbus_db_http_request_duration_seconds_count'
  t.equal(read[`${count}{route="/livez",method="GET",status="200"}`], 5000)
})

test('exactly one state is 1', async (t) => {
  const readiness = createReadiness()
  const metrics = createMetrics(createSources({ readiness }))
  const shown = async () => {
    const read = Object.entries(await readOf(metrics))
    return read
      .filter(([series, value]) => series.startsWith('commandbus_db_state{') && value === 1)
      .map(([series]) => series)
  }

  t.strictSame(await shown(), ['commandbus_db_state{state="waiting_for_database"}'])
  t.equal((await readOf(metrics)).commandbus_db_ready, 0)
  readiness.set({ ready: true })
  t.strictSame(await shown(), ['commandbus_db_state{state="ready"}'])
  t.equal((await readOf(metrics)).commandbus_db_ready, 1)
})

test('what is not known is left out rather than 0', async (t) => {
  let drift: ReturnType<NonNullable<MetricsSources['drift']>>
  const metrics = createMetrics(createSources({ pool: () => undefined, drift: () => drift }))

  const unknown = await readOf(metrics)
  drift = { checkedAt: new Date(1_700_000_000_000), inSync: false, differences: [{}, {}] }
  const differs = await readOf(metrics)
  drift = { checkedAt: new Date(1_700_000_060_000), inSync: null, differences: [] }
  const unsure = await readOf(metrics)

  for (const name of [
    'migrations_applied',
    'migrations_pending',
    'drift_in_sync',
    'drift_differences',
    'drift_last_check_timestamp_seconds',
    'pool_sessions',
    'test_databases_max',
  ]) {
    t.equal(unknown[`commandbus_db_${name}`], undefined, name)
  }
  t.match(differs, {
    commandbus_db_drift_in_sync: 0,
    commandbus_db_drift_differences: 2,
    commandbus_db_drift_last_check_timestamp_seconds: 1_700_000_000,
  })
  t.equal(unsure.commandbus_db_drift_in_sync, undefined)
  t.equal(unsure.commandbus_db_drift_last_check_timestamp_seconds, 1_700_000_060)
})

test('test databases and the pool are read at each scrape', async (t) => {
  let lent = 1
  const testDatabases = () => ({ max: 4, lent, ready: 2 })
  const metrics = createMetrics(createSources({ testDatabases }))

  t.match(await readOf(metrics), {
    commandbus_db_test_databases_max: 4,
    commandbus_db_test_databases_lent: 1,
    commandbus_db_test_databases_ready: 2,
    commandbus_db_pool_sessions: 3,
    commandbus_db_pool_idle_sessions: 2,
    commandbus_db_pool_waiting_queries: 1,
    commandbus_db_pool_max_sessions: 5,
  })
  lent = 3
  t.match(await readOf(metrics), { commandbus_db_test_databases_lent: 3 })
})

test('promtool accepts the metrics', { skip: findMissingPromtool() }, async (t) => {
  const { text } = await createMetrics(createSources()).read()

  // It objects to the names of some of prom-client's own.
  const own = text.split('\n\n').filter((metric) => metric.includes(' commandbus_db_'))
  const input = `${own.join('\n')}\n`
  const output = execFileSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })

  t.equal(output, '')
})
