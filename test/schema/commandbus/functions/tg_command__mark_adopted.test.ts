import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { type Bus, createBus } from '../bus.ts'

test('tg_command__mark_adopted', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  /** Adoption marks a command AS_STATUS: the counters include it as what its status says. */
  async function adopt(db: Queryable, bus: Bus, batchId: string, status: string): Promise<string> {
    const id = await bus.command({ batchId, status })
    await db.query(`update commandbus.command set counted_as = 'AS_STATUS' where command_id = $1`, [
      id,
    ])
    return id
  }

  t.test(
    'an operator moves an adopted command out of troubleshooting',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2, status: 'IN_PROGRESS' })
      await db.query(
        'update commandbus.batch set in_troubleshooting_count = 1 where batch_id = $1',
        [batchId],
      )
      const id = await adopt(db, bus, batchId, 'IN_TROUBLESHOOTING_QUEUE')

      t.equal(await bus.settle(batchId, 'cancel'), false)
      t.match(await bus.counts(batchId), { troubled: 1 })
      await bus.set(id, 'CANCELED')
      await bus.settle(batchId, 'cancel')

      t.equal(await bus.mark(id), 'CANCELED')
      t.match(await bus.counts(batchId), { completed: 0, canceled: 1, troubled: 0 })
    }),
  )

  for (const [status, counts] of [
    ['PENDING', { completed: 1, troubled: 1 }],
    ['IN_TROUBLESHOOTING_QUEUE', { completed: 1, troubled: 0 }],
  ] as const) {
    t.test(
      `a finish of an adopted command that is ${status} counts it once`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 2, status: 'IN_PROGRESS' })
        await db.query(
          'update commandbus.batch set in_troubleshooting_count = 1 where batch_id = $1',
          [batchId],
        )
        const id = await adopt(db, bus, batchId, status)

        await bus.receive(id)
        await bus.finish(id, 'COMPLETED')
        await bus.finish(id, 'COMPLETED')

        t.equal(await bus.mark(id), 'COMPLETED')
        t.match(await bus.counts(batchId), counts)
      }),
    )
  }
})
