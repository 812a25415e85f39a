import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { createBus } from '../bus.ts'

test('batch_progress', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'includes what the counter rows have not reported',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 3200 })
      const ids = (await bus.commands(3200, { batchId })) as [string, string, string]
      const [one, two, three] = ids

      await bus.finish(one, 'COMPLETED')
      await bus.finish(two, 'CANCELED')
      await bus.finish(three, 'FAILED')

      t.match(await bus.exactCounts(batchId), {
        status: 'IN_PROGRESS',
        completed: 1,
        canceled: 1,
        failed: 1,
      })
    }),
  )

  t.test(
    'equals the row of a batch without counter rows',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2 })
      await bus.finish(await bus.command({ batchId }), 'COMPLETED')

      t.strictSame(await bus.exactCounts(batchId), await bus.counts(batchId))
    }),
  )
})
