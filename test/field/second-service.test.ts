// A second service beside a rebuild: row D8.
import { test } from 'tap'
import { startResetting } from '../reset/running.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('a second service is not ready while a rebuild by the first is incomplete', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const env = {
    DATABASE_URL: url,
    // Outside a transaction, so that it is not tried before everything is dropped.
    MIGRATIONS_DIR: createMigrationsFolder(t, [
      'create table one ();',
      '--! no-transaction\nselect pg_advisory_xact_lock(4711);',
      'create table two ();',
    ]),
  }
  const first = await startResetting(t, env)
  const second = await startResetting(t, env)

  const holder = await pool.connect()
  await holder.query('select pg_advisory_lock(4711)')
  const answer = first.reset({ mode: 'rebuild' }).catch(() => {})
  await first.waitForReason('rebuilding')
  await second.waitForReason('database_unavailable')
  await first.stop('SIGKILL')
  await answer
  t.match(await second.get('/readyz'), {
    status: 503,
    body: { status: 'not_ready', reason: 'database_unavailable' },
  })

  await holder.query('select pg_advisory_unlock(4711)')
  holder.release()
  const third = await startResetting(t, env)
  await second.waitForReady()
  t.match(await third.get('/readyz'), { status: 200 })
  const { rows } = await pool.query(`select to_regclass('two')::text as two`)
  t.strictSame(rows, [{ two: 'two' }])
})
