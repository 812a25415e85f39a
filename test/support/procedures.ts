import pg, { type Pool, type PoolClient } from 'pg'
import type { Test } from 'tap'
import { createTestDatabase } from './postgres.ts'
import { loadServer } from './server.ts'
import { type Session, withTransaction } from './sessions.ts'

/** A database for the tests of one procedure. */
export interface ProcedureDatabase {
  /** For tests with several sessions, which have to commit: what they wrote stays, so each takes a domain of its own. */
  readonly pool: Pool
  /** Makes a test of one session: in a transaction that is rolled back. */
  rolledBack(work: (t: Test, db: RolledBack) => Promise<void>): (t: Test) => Promise<void>
}

/** A session, a pool, or what a test that is rolled back gets. */
export type Queryable = Pick<PoolClient, 'query'>

/** A statement that fails is undone alone, and the transaction goes on. */
export type RolledBack = Pick<Session, 'query' | 'client'>

export async function openProcedureDatabase(t: Test): Promise<ProcedureDatabase> {
  const { procedures } = loadServer()
  const pool = procedures
    ? openPool(t, procedures)
    : (await createTestDatabase(t, { from: 'migrated' })).pool
  return {
    pool,
    rolledBack: (work) => (t) =>
      withTransaction(pool, async (session) => {
        await session.query('savepoint statement')
        await work(t, withSavepoint(session))
      }),
  }
}

/** Opens a pool for the database of a run of `test:sql`, which drops it at its end. */
export function openPool(t: Test, url: string): Pool {
  // The database is thrown away: a commit need not survive a crash.
  const pool = new pg.Pool({
    connectionString: url,
    max: 20,
    options: '-c synchronous_commit=off',
  })
  // Dropping the database ends sessions that are still closing, which is no error of a test.
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  return pool
}

/** One statement after the other, and a savepoint after each. */
function withSavepoint({ query, client }: RolledBack): RolledBack {
  const run = query as unknown as (...args: unknown[]) => Promise<unknown>
  let last: Promise<unknown> = Promise.resolve()
  const runNext = async (args: unknown[]) => {
    try {
      const result = await run(...args)
      await run('release statement; savepoint statement')
      return result
    } catch (error) {
      await run('rollback to statement')
      throw error
    }
  }
  return {
    client,
    query: ((...args: unknown[]) => {
      const result = last.then(() => runNext(args))
      last = result.catch(() => {})
      return result
    }) as unknown as PoolClient['query'],
  }
}
