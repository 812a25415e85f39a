import { test } from 'tap'
import { startResetting, THINGS } from '../reset/running.ts'
import { becomes } from '../support/becomes.ts'
import { parseMetrics } from '../support/metrics.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'

test('a scrape shows migrations and resets, also while the database is lost', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const folder = createMigrationsFolder(t, [THINGS.first, 'select 1;'])
  const service = await startResetting(t, { DATABASE_URL: proxy.url, MIGRATIONS_DIR: folder })
  const scrape = async () => {
    const { status, body } = await service.get('/metrics')
    t.equal(status, 200)
    return parseMetrics(body)
  }

  await service.reset({})
  await pool.query('alter table things add column more int')
  await service.reset({})
  const ready = await scrape()
  proxy.swallow()
  await becomes(t, async () => (await scrape()).commandbus_db_ready, 0)
  const lost = await scrape()

  t.match(ready, {
    commandbus_db_ready: 1,
    commandbus_db_migrations_applied: 2,
    commandbus_db_migrations_pending: 0,
    commandbus_db_migration_duration_seconds_count: 2,
    'commandbus_db_resets_total{mode="data",outcome="succeeded"}': 1,
    'commandbus_db_resets_total{mode="data",outcome="schema_changed"}': 1,
    'commandbus_db_reset_duration_seconds_count{mode="data"}': 1,
    commandbus_db_pool_max_sessions: 5,
  })
  t.ok((ready.commandbus_db_start_duration_seconds ?? 0) > 0)
  t.match(lost, {
    'commandbus_db_state{state="database_unavailable"}': 1,
    commandbus_db_migrations_applied: 2,
  })
  t.match(service.log()[0], { msg: 'starting', version: /^\d/, node: process.version })
  t.match(await service.waitForLog('reset rejected'), {
    ...{ level: 'warn', mode: 'data', code: 'schema_changed', reason: /more/ },
  })
})
