import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus } from '../bus.ts'

test('tg_command__mark_inserted', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  /** A batch of 3 as a client copies it from elsewhere: its counts come with its row. */
  async function copiedBatch(counts: string) {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 3, status: 'IN_PROGRESS' })
    await pool.query(`update commandbus.batch set ${counts} where batch_id = $1`, [batchId])
    return { bus, batchId }
  }

  t.test('a command that its batch’s counts hold already is not counted again', async (t) => {
    const { bus, batchId } = await copiedBatch('completed_count = 1, in_troubleshooting_count = 1')
    const ended = await bus.command({ batchId, status: 'COMPLETED' })
    const troubled = await bus.command({ batchId, status: 'IN_TROUBLESHOOTING_QUEUE' })
    const open = await bus.command({ batchId })

    t.equal(await bus.mark(ended), 'COMPLETED')
    await bus.set(troubled, 'CANCELED')
    t.equal(await bus.settle(batchId, 'cancel'), false)
    t.match(await bus.counts(batchId), { completed: 1, canceled: 1, troubled: 0 })
    t.equal(await bus.finish(open, 'COMPLETED'), true)
  })

  t.test('a command beyond what the counts hold is still to be counted', async (t) => {
    const { bus, batchId } = await copiedBatch('canceled_count = 1')
    const [, second] = await bus.commands(2, { batchId, status: 'CANCELED' })

    t.equal(await bus.mark(second as string), null)
    await bus.settle(batchId, 'cancel')
    t.match(await bus.counts(batchId), { canceled: 2 })
  })
})
