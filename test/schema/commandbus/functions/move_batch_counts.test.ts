import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus } from '../bus.ts'

test('move_batch_counts', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const move = async (domain: string, batchId: string, by: readonly number[]) => {
    const { rows } = await pool.query(
      'select commandbus.move_batch_counts($1, $2, $3, $4, $5) as completed',
      [domain, batchId, ...by],
    )
    return rows[0].completed
  }

  t.test('is true for the move that completes the batch, then null', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 3, status: 'IN_PROGRESS' })

    t.equal(await move(bus.domain, batchId, [2, 0, 1]), false)
    t.equal(await move(bus.domain, batchId, [0, 1, -1]), true)
    t.equal(await move(bus.domain, batchId, [1, 0, 0]), null)

    t.strictSame(await bus.counts(batchId), {
      status: 'COMPLETED_WITH_FAILURES',
      completed: 2,
      canceled: 1,
      troubled: 0,
    })
    t.strictSame(await bus.events(batchId), ['BATCH_COMPLETED'])
  })

  t.test('is null, and moves nothing, beyond the bounds or without a batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    t.equal(await move(bus.domain, batchId, [2, 0, 0]), null)
    t.equal(await move(bus.domain, batchId, [0, 0, -1]), null)
    t.equal(await move(bus.domain, randomUUID(), [1, 0, 0]), null)
    t.match(await bus.counts(batchId), { completed: 0, canceled: 0, troubled: 0 })
  })

  t.test('does not report again a batch that the client inserted as completed', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1, status: 'COMPLETED' })

    t.equal(await move(bus.domain, batchId, [1, 0, 0]), false)
    t.strictSame(await bus.events(batchId), [])
  })
})
