/** Test databases for Jest, and for any runner that has its global hooks. */
import {
  type RunnerHooks,
  registerDatabase,
  type TestDatabase,
  type TestDatabaseOptions,
} from './hooks.ts'

export type { TestDatabase, TestDatabaseOptions }

/**
 * Gives the tests of this file, or of the surrounding `describe`, a database: one for all of them, or, with
 * `per: 'test'`, one for each.
 *
 *     const database = testDatabase()
 *     test('…', () => connect(database.url))
 */
export function testDatabase(options: TestDatabaseOptions = {}): TestDatabase {
  const { beforeAll, afterAll, beforeEach, afterEach } = globalThis as Partial<RunnerHooks>
  if (!beforeAll || !afterAll || !beforeEach || !afterEach) {
    throw new Error(
      'testDatabase() needs the global beforeAll, afterAll, beforeEach and afterEach of Jest: call it in a test ' +
        'file, without injectGlobals: false',
    )
  }
  const worker = process.env.JEST_WORKER_ID
  const label = worker === undefined ? undefined : `Jest worker ${worker}, process ${process.pid}`
  return registerDatabase(
    { beforeAll, afterAll, beforeEach, afterEach },
    { ...(label !== undefined && { label }), ...options },
  )
}
