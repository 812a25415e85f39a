import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { type Bus, createBus } from '../bus.ts'

test('tg_command__mark_adopted', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  /** Adoption marks a command AS_STATUS: the counters include it as what its status says. */
  async function adopt(bus: Bus, batchId: string, status: string): Promise<string> {
    const id = await bus.command({ batchId, status })
    await pool.query(
      `update commandbus.command set counted_as = 'AS_STATUS' where command_id = $1`,
      [id],
    )
    return id
  }

  t.test('an operator moves an adopted command out of troubleshooting', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2, status: 'IN_PROGRESS' })
    await pool.query(
      'update commandbus.batch set in_troubleshooting_count = 1 where batch_id = $1',
      [batchId],
    )
    const id = await adopt(bus, batchId, 'IN_TROUBLESHOOTING_QUEUE')

    t.equal(await bus.settle(batchId, 'cancel'), false)
    t.match(await bus.counts(batchId), { troubled: 1 })
    await bus.set(id, 'CANCELED')
    await bus.settle(batchId, 'cancel')

    t.equal(await bus.mark(id), 'CANCELED')
    t.match(await bus.counts(batchId), { completed: 0, canceled: 1, troubled: 0 })
  })

  for (const [status, counts] of [
    ['PENDING', { completed: 1, troubled: 1 }],
    ['IN_TROUBLESHOOTING_QUEUE', { completed: 1, troubled: 0 }],
  ] as const) {
    t.test(`a finish of an adopted command that is ${status} counts it once`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 2, status: 'IN_PROGRESS' })
      await pool.query(
        'update commandbus.batch set in_troubleshooting_count = 1 where batch_id = $1',
        [batchId],
      )
      const id = await adopt(bus, batchId, status)

      await bus.receive(id)
      await bus.finish(id, 'COMPLETED')
      await bus.finish(id, 'COMPLETED')

      t.equal(await bus.mark(id), 'COMPLETED')
      t.match(await bus.counts(batchId), counts)
    })
  }
})
