import type { Test } from 'tap'
import { startResetting, THINGS, TOKEN } from '../reset/running.ts'
import { compareSnapshots, takeSnapshot } from '../reset/snapshot.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

export { TOKEN }

/** A service that resets nothing: it knows the token, but its database is not marked disposable. */
export interface Subject {
  readonly address: string
  /** What is different in the database since the start, one line each. */
  listChanges(): Promise<string[]>
  /** Whether it answers, and has logged no error. */
  assertWell(): Promise<void>
}

/** Starts a service on a database with rows in it, with everything switched on. */
export async function startSubject(t: Test): Promise<Subject> {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [THINGS.first]) }
  const first = startService(t, env)
  await first.waitForReady()
  await first.stop()
  await pool.query(THINGS.dirt)

  // With a token that no request has, since a lent database would be a change.
  const testDatabases = { TEST_DATABASES_MAX: '1', TEST_DATABASES_TOKEN: `not-${TOKEN}` }
  const service = await startResetting(t, { ...env, ...testDatabases, LOG_LEVEL: 'info' })
  const address = (await service.waitForLog('listening at')).msg.slice('listening at '.length)
  const before = await takeSnapshot(pool)
  return {
    address,
    listChanges: async () => compareSnapshots(before, await takeSnapshot(pool)),
    async assertWell() {
      t.equal((await service.get('/livez')).status, 200)
      await service.waitForReady()
      const errors = service.log().filter(({ level }) => level === 'error' || level === 'fatal')
      t.strictSame(errors, [])
      t.match(await service.stop(), { code: 0 })
    },
  }
}
