import { test as base } from '@playwright/test'
import { databaseFixture, type LeasedDatabase } from 'commandbus-db/testing/playwright'
import pg from 'pg'

export const test = base.extend<object, { database: LeasedDatabase; pool: pg.Pool }>({
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
export { expect } from '@playwright/test'
