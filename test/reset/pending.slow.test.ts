import { test } from 'tap'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startResetting, THINGS } from './running.ts'

test('pending migrations are captured in the baseline if the database was at its baseline', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [THINGS.first])
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: folder }
  await (await startResetting(t, env)).stop()
  writeCommitted(folder, [THINGS.first, THINGS.second])

  const service = await startResetting(t, env)
  await pool.query(THINGS.dirt)
  t.equal((await service.reset()).status, 200)

  t.same((await pool.query('select label from things order by id')).rows, [
    { label: 'seed' },
    { label: 'second seed' },
  ])
})

test('pending migrations leave no baseline if the database was not at its baseline', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [THINGS.first])
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: folder }
  await (await startResetting(t, env)).stop()
  await pool.query(THINGS.dirt)
  writeCommitted(folder, [THINGS.first, THINGS.second])

  const service = await startResetting(t, env)

  t.match(await service.reset(), { status: 409, body: { code: 'no_baseline' } })
})
