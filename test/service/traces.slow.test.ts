import { test } from 'tap'
import { openCollector, plainAttributes } from '../support/collector.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/until.ts'

test('a start, and one that fails, are sent to the collector', async (t) => {
  const collector = await openCollector(t)
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const token = 'a-token-long-enough'
  const bodies = ['select 1;', 'select 2;']
  const start = (MIGRATIONS_DIR: string) =>
    startService(t, {
      ...{ DATABASE_URL: url, MIGRATIONS_DIR, RESET_ENABLED: 'true', RESET_TOKEN: token },
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    })

  const service = start(createMigrationsFolder(t, bodies))
  await service.waitForReady()
  await until('a span', () => collector.spans.length === 1)
  t.match(await service.stop(), { code: 0 })
  const failing = start(createMigrationsFolder(t, [...bodies, `select missing('${token}');`]))
  t.match(await failing.ended, { code: 4 })

  const [ready, failed] = collector.spans
  t.equal(collector.spans.length, 2)
  t.strictSame(
    ready?.events?.map(({ attributes }) => {
      const { 'commandbus_db.migration.filename': filename } = plainAttributes(attributes)
      return filename
    }),
    ['000001-step-1.sql', '000002-step-2.sql'],
  )
  t.match(plainAttributes(failed?.attributes), { 'error.type': 'migration_failed' })
  t.match(failed?.status.message, /000003/)
  t.notMatch(JSON.stringify(collector.spans), token)
})

for (const [what, isSilent] of [
  ['is silent', true],
  ['is down', false],
] as const) {
  test(`a collector that ${what} delays neither the start nor its end`, async (t) => {
    const { endpoint } = await openCollector(t, { isSilent })
    const { url } = await createTestDatabase(t, { from: 'empty' })
    const service = startService(t, {
      DATABASE_URL: url,
      MIGRATIONS_DIR: createMigrationsFolder(t, ['select 1;']),
      OTEL_EXPORTER_OTLP_ENDPOINT: isSilent ? endpoint : 'http://127.0.0.1:1',
      // A stop that takes longer ends with exit code 1.
      SHUTDOWN_SECONDS: '2',
    })

    await service.waitForReady()
    if (!isSilent) await service.waitForLog('could not send the trace of the start')

    t.match(await service.stop(), { code: 0 })
  })
}
