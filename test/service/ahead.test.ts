import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

const BODIES = ['create schema one;', 'create table one.t ();', 'create table one.u ();']
const TOKEN = 'a-token-long-enough'

test('with WHEN_AHEAD=serve an older version is ready on a newer database, without resets', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const start = (bodies: readonly string[], env: Record<string, string> = {}) =>
    startService(t, {
      DATABASE_URL: url,
      MIGRATIONS_DIR: createMigrationsFolder(t, bodies),
      RESET_ENABLED: 'true',
      RESET_TOKEN: TOKEN,
      ...env,
    })
  const newer = start(BODIES)
  await newer.waitForReady()
  await newer.stop()

  t.match(await start(BODIES.slice(0, 2)).ended, { code: 5 }, 'refused by default')
  const other = start(['select 1;'], { WHEN_AHEAD: 'serve' })
  t.match(await other.ended, { code: 5 }, 'another history is refused')

  const older = start(BODIES.slice(0, 2), { WHEN_AHEAD: 'serve' })
  await older.waitForReady()
  t.strictSame((await older.get('/readyz')).body, { status: 'ready', detail: 'ahead by 000003' })
  t.match((await older.get('/status')).body, { state: 'ready', detail: 'ahead by 000003' })
  for (const mode of ['data', 'rebuild']) {
    const response = await older.request('/reset', {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ mode }),
    })
    t.match(response.body, { status: 409, code: 'ahead' }, mode)
  }
  t.match(await older.stop(), { code: 0 })
})
