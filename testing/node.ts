/** Test databases for node:test. */
import { after, afterEach, before, beforeEach } from 'node:test'
import {
  type RunnerHooks,
  registerDatabase,
  type TestDatabase,
  type TestDatabaseOptions,
} from './hooks.ts'
import { programLabel } from './label.ts'

export type { TestDatabase, TestDatabaseOptions }

/**
 * Gives the tests of this file, or of the surrounding `describe`, a database: one for all of them, or, with
 * `per: 'test'`, one for each. Tests of a file that run at the same time share it; use `leaseDatabase` for those.
 *
 *     const database = testDatabase()
 *     test('…', () => connect(database.url))
 */
export function testDatabase(options: TestDatabaseOptions = {}): TestDatabase {
  const hooks: RunnerHooks = {
    beforeAll: (hook, timeout) => before(hook, { timeout }),
    afterAll: (hook, timeout) => after(hook, { timeout }),
    beforeEach: (hook, timeout) => beforeEach(hook, { timeout }),
    afterEach: (hook, timeout) => afterEach(hook, { timeout }),
  }
  return registerDatabase(hooks, { label: programLabel(), ...options })
}
