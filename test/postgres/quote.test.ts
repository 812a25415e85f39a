import { test } from 'tap'
import { literal } from '../../src/postgres/quote.ts'
import { createTestDatabase } from '../support/postgres.ts'

const TEXTS = [
  '',
  'plain',
  "it's",
  "''",
  'back\\slash',
  "\\'",
  '$$',
  '$reset$',
  'two\nlines',
  '“é”',
]

test('quoted texts come back unchanged, whatever standard_conforming_strings is', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  const client = await pool.connect()
  t.teardown(() => client.release())

  for (const setting of ['on', 'off']) {
    await client.query(`set standard_conforming_strings = ${setting}`)
    for (const text of TEXTS) {
      const { rows } = await client.query(`select ${literal(text)} as text`)
      t.strictSame(rows, [{ text }], setting)
    }
  }
})
