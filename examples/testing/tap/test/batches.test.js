import { testDatabase } from 'commandbus-db/testing/tap'
import pg from 'pg'
import t from 'tap'

const database = await testDatabase(t)
const pool = new pg.Pool({ connectionString: database.url })
// tap runs the last teardown first: the pool is closed before the database is returned.
t.teardown(() => pool.end())

t.test('a new batch is the only one', async (t) => {
  await pool.query(
    `insert into commandbus.batch (domain, batch_id, name, total_count)
     values ('payments', gen_random_uuid(), 'refunds', 1)`,
  )
  const { rows } = await pool.query('select name from commandbus.batch')
  t.same(rows, [{ name: 'refunds' }])
})
