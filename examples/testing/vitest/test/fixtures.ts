import { databaseFixture, type LeasedDatabase } from 'commandbus-db/testing/vitest'
import pg from 'pg'
import { test as base } from 'vitest'

export const test = base.extend<{ $worker: { database: LeasedDatabase; pool: pg.Pool } }>({
  database: databaseFixture(),
  pool: [
    async ({ database }, use) => {
      const pool = new pg.Pool({ connectionString: database.url })
      await use(pool)
      await pool.end()
    },
    { scope: 'worker' },
  ],
})
