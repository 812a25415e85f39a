import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { projectDir } from '../support/server.ts'
import { startResetting, THINGS } from './running.ts'

test('the bundle, which the image runs, migrates and resets', async (t) => {
  const folder = t.testdir()
  execFileSync(process.execPath, ['scripts/bundle.mjs', folder], { cwd: projectDir })
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [THINGS.first]) }
  const service = await startResetting(t, env, { entry: join(folder, 'server.js') })
  await pool.query(THINGS.dirt)

  t.match(await service.reset({ mode: 'data' }), { status: 200, body: { mode: 'data' } })
  t.match(await service.reset({ mode: 'other' }), { status: 400, body: { code: 'body_wrong' } })
  t.match(await service.reset({ mode: 'rebuild' }), { status: 200, body: { mode: 'rebuild' } })

  t.same((await pool.query('select * from things')).rows, [{ id: 1, label: 'seed' }])
  t.equal((await service.stop()).code, 0)
})
