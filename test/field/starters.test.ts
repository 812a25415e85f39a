import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

test('twenty services start at once: all become ready, and each migration runs once', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [
    'create table public.runs (step int);',
    'insert into public.runs values (2);',
    'insert into public.runs values (3);',
  ])

  const services = Array.from({ length: 20 }, () =>
    startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder }),
  )
  await Promise.all(services.map((service) => service.waitForReady()))

  const { rows } = await pool.query('select step from public.runs order by step')
  t.strictSame(rows, [{ step: 2 }, { step: 3 }])
  const lines = services.flatMap((service) => service.log())
  t.equal(lines.filter(({ msg }) => msg === 'migration applied').length, 3)
  const endings = await Promise.all(services.map((service) => service.stop()))
  t.ok(endings.every(({ code }) => code === 0))
})
