import { readFileSync } from 'node:fs'
import t from 'tap'
import { measure } from '../../bench/batch-load.ts'
import { median, toTable } from '../../bench/report.ts'
import { createTestDatabase } from '../support/postgres.ts'

t.test(
  'the benchmark completes its batches, by our design and the straightforward one',
  async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
    const load = { commands: 200, connections: 4 }

    for (const layout of ['no batch', '200 batches', 'one batch'] as const) {
      t.ok((await measure(url, { ...load, layout })) > 0)
    }
    await pool.query(readFileSync('bench/straightforward.sql', 'utf8'))
    t.ok((await measure(url, { ...load, layout: 'one batch' })) > 0)
  },
)

t.test('the benchmark reports medians in a Markdown table', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.equal(toTable(['a', 'b'], [['x', '1']]), '| a   |   b |\n| --- | --: |\n| x   |   1 |')
})
