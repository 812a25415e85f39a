const { testDatabase } = require('commandbus-db/testing/jest')
const pg = require('pg')

let pool
testDatabase({
  setUp: ({ url }) => {
    pool = new pg.Pool({ connectionString: url })
  },
  tearDown: () => pool.end(),
})

test('a new batch is the only one', async () => {
  await pool.query(
    `insert into commandbus.batch (domain, batch_id, name, total_count)
     values ('payments', gen_random_uuid(), 'refunds', 1)`,
  )
  const { rows } = await pool.query('select name from commandbus.batch')
  expect(rows).toEqual([{ name: 'refunds' }])
})
