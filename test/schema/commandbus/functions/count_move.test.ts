import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { createBus } from '../bus.ts'

test('count_move', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'counts each move in the one row of a small batch',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 3, status: 'IN_PROGRESS' })
      const move = async (from: string | null, to: string | null) => {
        const { rows } = await db.query(
          `select commandbus.count_move(batch, $1, $2, $3) as completed
           from commandbus.batch where batch_id = $4`,
          [randomUUID(), from, to, batchId],
        )
        return rows[0].completed
      }

      for (const [from, to, completed, counts] of [
        [null, 'IN_TROUBLESHOOTING_QUEUE', false, { completed: 0, troubled: 1 }],
        ['IN_TROUBLESHOOTING_QUEUE', null, false, { completed: 0, troubled: 0 }],
        [null, 'COMPLETED', false, { completed: 1, troubled: 0 }],
        [null, 'FAILED', false, { completed: 1, failed: 1, troubled: 0 }],
        [null, 'IN_TROUBLESHOOTING_QUEUE', false, { completed: 1, failed: 1, troubled: 1 }],
        [null, 'COMPLETED', null, { completed: 1, failed: 1, troubled: 1 }],
        ['IN_TROUBLESHOOTING_QUEUE', 'CANCELED', true, { completed: 1, canceled: 1, troubled: 0 }],
      ] as const) {
        t.equal(await move(from, to), completed)
        t.match(await bus.counts(batchId), counts)
      }
    }),
  )
})
