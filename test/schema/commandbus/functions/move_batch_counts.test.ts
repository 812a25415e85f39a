import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { createBus } from '../bus.ts'

test('move_batch_counts', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)
  const move = async (db: Queryable, domain: string, batchId: string, by: readonly number[]) => {
    const { rows } = await db.query(
      'select commandbus.move_batch_counts($1, $2, $3, $4, $5, $6) as completed',
      [domain, batchId, ...by],
    )
    return rows[0].completed
  }

  t.test(
    'is true for the move that completes the batch, then null',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 4, status: 'IN_PROGRESS' })

      t.equal(await move(db, bus.domain, batchId, [2, 0, 1, 1]), false)
      t.equal(await move(db, bus.domain, batchId, [0, 1, 0, -1]), true)
      t.equal(await move(db, bus.domain, batchId, [1, 0, 0, 0]), null)

      t.strictSame(await bus.counts(batchId), {
        status: 'COMPLETED_WITH_FAILURES',
        completed: 2,
        canceled: 1,
        failed: 1,
        troubled: 0,
      })
      t.strictSame(await bus.events(batchId), ['BATCH_COMPLETED'])
    }),
  )

  t.test(
    'is null and changes nothing beyond the bounds, for an unknown batch, and for one of processes',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1 })

      const processes = await bus.batch({ total: 1, type: 'PROCESS' })

      t.equal(await move(db, bus.domain, batchId, [2, 0, 0, 0]), null)
      t.equal(await move(db, bus.domain, batchId, [0, 1, 1, 0]), null)
      t.equal(await move(db, bus.domain, batchId, [0, 0, 0, -1]), null)
      t.equal(await move(db, bus.domain, randomUUID(), [1, 0, 0, 0]), null)
      t.equal(await move(db, bus.domain, processes, [1, 0, 0, 0]), null)
      for (const id of [batchId, processes]) {
        t.match(await bus.counts(id), { completed: 0, canceled: 0, failed: 0, troubled: 0 })
      }
    }),
  )

  t.test(
    'does not report a batch that the client inserted as completed',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1, status: 'COMPLETED' })

      t.equal(await move(db, bus.domain, batchId, [1, 0, 0, 0]), false)
      t.strictSame(await bus.events(batchId), [])
    }),
  )
})
