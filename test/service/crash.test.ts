import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

/** Preloaded into the service: a signal makes it fail from the inside. */
const FAULTS = {
  'an uncaught exception': 'throw new Error("boom")',
  'an unhandled rejection': 'Promise.reject(new Error("boom"))',
}
for (const [what, fault] of Object.entries(FAULTS)) {
  test(`${what} is logged, and the service closes everything and exits with 1`, async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    const preload = `data:text/javascript,process.on('SIGUSR2', () => { ${fault} })`
    const service = startService(
      t,
      { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, ['select 1;']) },
      [process.execPath, '--import', preload, 'dist/app/server.js'],
    )
    await service.waitForReady()

    t.match(await service.stop('SIGUSR2'), { code: 1 })

    t.match(service.log().at(-2), { level: 'fatal', err: { message: 'boom', stack: String } })
    t.match(service.log().at(-1), { msg: 'stopped', exitCode: 1 })
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and application_name like 'commandbus-db%'`,
    )
    t.equal(rows.length, 0)
  })
}
