import { test } from 'tap'
import { startResetting, THINGS } from '../reset/running.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { waitUntilBlocked } from '../support/sessions.ts'

test('a stop waits for a reset whose client has disconnected, and leaves no session behind', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  // One attempt of a reset lasts two fifths of this: it would outlive a service that does not wait.
  await pool.query(`alter database ${name} set deadlock_timeout = '5s'`)
  const folder = createMigrationsFolder(t, [THINGS.first])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder })
  const writer = await pool.connect()
  t.teardown(async () => writer.release(true))
  await writer.query(`begin; insert into things (label) values ('mine')`)

  const gone = new AbortController()
  const reset = service.reset({ lockTimeoutMs: 60_000 }, gone.signal)
  await waitUntilBlocked(pool, 'reset_data')
  gone.abort()
  await t.rejects(reset)

  t.match(await service.stop(), { code: 0 })
  const { rows } = await pool.query(
    `select application_name, state from pg_stat_activity
      where datname = current_database() and application_name like 'commandbus-db%'
        and state <> 'idle'`,
  )
  t.same(rows, [])
})
