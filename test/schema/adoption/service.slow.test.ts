import { test } from 'tap'
import { createOrigin, fillOrigin, origins } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { startService } from '../../support/service.ts'

const newest = origins['Flyway, client 0.2.2'] ?? []

test('the service adopts a Flyway database, and keeps its e2e whatever the setting says', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  await pool.query('update commandbus.batch set completed_count = 0')

  const service = startService(t, { DATABASE_URL: url, E2E_SCHEMA: 'off' })
  await service.waitForReady()

  const { body } = await service.get('/status')
  t.match(body, { detail: /E2E_SCHEMA=off is ignored/, schemas: { e2e: { tables: Array } } })
  t.match(service.output(), /adoption: took over the command bus in the schema commandbus/)
  t.match(service.output(), /adoption: corrected the counters of \d+ batches/)
})

test('the service does not make e2e in an adopted database that has none', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, [])

  const service = startService(t, { DATABASE_URL: url })
  await service.waitForReady()

  const { rows } = await pool.query(`select to_regnamespace('e2e') as e2e`)
  t.strictSame(rows, [{ e2e: null }])
})
