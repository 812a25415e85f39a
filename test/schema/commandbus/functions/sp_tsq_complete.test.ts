import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus, sqlstateOf, withTransaction } from '../bus.ts'

test('sp_tsq_complete', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.test('counts the command that the operator has set to COMPLETED', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    const id = await bus.command({ batchId })
    await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')

    await bus.set(id, 'COMPLETED')

    t.equal(await bus.settle(batchId, 'complete'), true)
    t.equal(await bus.settle(batchId, 'complete'), false)
    t.strictSame(await bus.counts(batchId), {
      status: 'COMPLETED',
      completed: 1,
      canceled: 0,
      troubled: 0,
    })
  })

  t.test('is false for a null batch and one with nothing to count', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    await bus.command({ batchId })

    t.equal(await bus.settle(null, 'complete'), false)
    t.equal(await bus.settle(batchId, 'complete'), false)
    t.match(await bus.counts(batchId), { status: 'PENDING' })
  })

  t.test('refuses the operator who comes after the command has ended', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })
    await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')
    await bus.finish(id, 'CANCELED')
    const before = await bus.counts(batchId)

    await withTransaction(pool, async (late) => {
      t.equal(await sqlstateOf(bus.on(late).set(id, 'COMPLETED')), '55000')
    })

    t.equal(await bus.settle(batchId, 'complete'), false)
    t.strictSame(await bus.counts(batchId), before)
  })
})
