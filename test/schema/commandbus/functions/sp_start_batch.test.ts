import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus } from '../bus.ts'

test('sp_start_batch', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'is true exactly once',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1 })

      t.equal(await bus.startBatch(batchId), true)
      t.equal(await bus.startBatch(batchId), false)

      const { rows } = await db.query('select * from commandbus.batch where batch_id = $1', [
        batchId,
      ])
      t.equal(rows[0].status, 'IN_PROGRESS')
      t.type(rows[0].started_at, Date)
      t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
      t.strictSame(await bus.details(batchId, 'BATCH_STARTED'), { batch_id: batchId })
    }),
  )

  t.test(
    'is false for a null, unknown or completed batch, and for one of processes',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const completed = await bus.batch({ total: 0, status: 'COMPLETED' })
      const processes = await bus.batch({ total: 1, type: 'PROCESS' })

      const { rows } = await db.query(
        `select commandbus.sp_start_batch(null, null) as of_null,
              commandbus.sp_start_batch($1, $2) as of_unknown,
              commandbus.sp_start_batch($1, $3) as of_completed,
              commandbus.sp_start_batch($1, $4) as of_processes`,
        [bus.domain, randomUUID(), completed, processes],
      )

      t.strictSame(rows, [
        { of_null: false, of_unknown: false, of_completed: false, of_processes: false },
      ])
      t.strictSame(await bus.events(completed), [])
      t.strictSame(await bus.events(processes), [])
      t.match(await bus.counts(processes), { status: 'PENDING' })
    }),
  )

  t.test(
    'waits for another session that starts the batch, and is false if that one commits',
    async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 1 })

      await withTransaction(pool, async (first) => {
        await withTransaction(pool, async (second) => {
          await bus.on(first).startBatch(batchId)
          const started = bus.on(second).startBatch(batchId)
          await second.waitsFor(first)
          await first.query('commit')
          t.equal(await started, false)
        })
      })
    },
  )
})
