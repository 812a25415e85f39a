import { test } from 'tap'
import { createTestDatabase } from './postgres.ts'
import { openPool } from './procedures.ts'
import { until } from './until.ts'

for (const from of ['empty', 'migrated'] as const) {
  test(`two databases made from ${from} are two databases`, async (t) => {
    const first = await createTestDatabase(t, { from })
    const second = await createTestDatabase(t, { from })

    await first.pool.query('create table public.marks (mark text)')

    const { rows } = await second.pool.query("select to_regclass('public.marks') as found")
    t.equal(rows[0].found, null)
    t.not(first.name, second.name)
  })
}

test('a database is gone after its test, though a client was never given back', async (t) => {
  const databases: string[] = []
  const outside = await createTestDatabase(t, { from: 'empty' })

  await t.test('the test', async (t) => {
    const { name, pool } = await createTestDatabase(t, { from: 'empty' })
    const client = await pool.connect()
    client.on('error', () => {})
    databases.push(name)
  })

  const { rows } = await outside.pool.query(
    'select datname from pg_catalog.pg_database where datname = any ($1)',
    [databases],
  )
  t.strictSame(rows, [])
})

test('a session that the server ends fails no test of a procedure', async (t) => {
  const { url, pool: outside } = await createTestDatabase(t, { from: 'empty' })
  const pool = openPool(t, url)
  const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid')

  await outside.query('select pg_terminate_backend($1)', [rows[0]?.pid])

  await until('the pool has noticed it', () => pool.totalCount === 0)
})
