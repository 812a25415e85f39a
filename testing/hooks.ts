import { assertKnownOptions } from './errors.ts'
import { LEASE_OPTIONS, type LeasedDatabase, type LeaseOptions, leaseDatabase } from './lease.ts'

export interface TestDatabaseOptions extends LeaseOptions {
  /** Whether each test gets a database of its own, or all tests of a file share one. Default: `file`. */
  readonly per?: 'file' | 'test'
  /** Runs when there is a database, such as to open connections. */
  readonly setUp?: (database: TestDatabase) => unknown
  /** Runs before the database is returned, whatever the runner's order of hooks: to close connections. */
  readonly tearDown?: () => unknown
}

/** The database of the test that runs. Reading it outside of tests and hooks throws. */
export type TestDatabase = Pick<LeasedDatabase, 'url' | 'id' | 'name' | 'history'>

/** With a limit: the first hook of a run waits for the start of the service. */
type Register = (hook: () => Promise<void>, timeoutMs: number) => void

/** The hooks of a runner: around all tests of a file, and around each test. */
export interface RunnerHooks {
  readonly beforeAll: Register
  readonly afterAll: Register
  readonly beforeEach: Register
  readonly afterEach: Register
}

const HOOK_MS = 180_000

/** Registers hooks that borrow a database and return it; what it returns is that database, in tests. */
export function registerDatabase(hooks: RunnerHooks, options: TestDatabaseOptions): TestDatabase {
  assertKnownOptions(options, [...LEASE_OPTIONS, 'per', 'setUp', 'tearDown'])
  const { per = 'file', setUp, tearDown, ...leaseOptions } = options
  let current: LeasedDatabase | undefined
  const get = (): LeasedDatabase => {
    if (current !== undefined) return current
    throw new Error(
      'there is no test database here: read its properties inside a test, or in a hook that runs later',
    )
  }
  const database: TestDatabase = {
    get url() {
      return get().url
    },
    get id() {
      return get().id
    },
    get name() {
      return get().name
    },
    get history() {
      return get().history
    },
  }
  const before = async () => {
    current = await leaseDatabase(leaseOptions)
    await setUp?.(database)
  }
  const after = async () => {
    if (current === undefined) return
    const { release } = current
    try {
      await tearDown?.()
    } finally {
      current = undefined
      await release()
    }
  }
  if (per === 'file') {
    hooks.beforeAll(before, HOOK_MS)
    hooks.afterAll(after, HOOK_MS)
  } else {
    hooks.beforeEach(before, HOOK_MS)
    hooks.afterEach(after, HOOK_MS)
  }
  return database
}
