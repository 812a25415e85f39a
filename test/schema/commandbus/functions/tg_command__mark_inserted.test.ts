import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, sqlstateOf } from '../bus.ts'

test('tg_command__mark_inserted', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  /** A batch of 4 that a client copies from another database: its row brings its counts. */
  async function copiedBatch(
    db: Queryable,
    counts: string,
    type: 'COMMAND' | 'PROCESS' = 'COMMAND',
  ) {
    const bus = createBus(db)
    const batchId = await bus.batch({ total: 4, status: 'IN_PROGRESS', type })
    await db.query(`update commandbus.batch set ${counts} where batch_id = $1`, [batchId])
    return { bus, batchId }
  }

  t.test(
    'a command that the batch’s counts include is not counted again',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await copiedBatch(
        db,
        'completed_count = 1, failed_count = 1, in_troubleshooting_count = 1',
      )
      const ended = await bus.command({ batchId, status: 'COMPLETED' })
      const failed = await bus.command({ batchId, status: 'FAILED' })
      const troubled = await bus.command({ batchId, status: 'IN_TROUBLESHOOTING_QUEUE' })
      const open = await bus.command({ batchId })

      t.equal(await bus.mark(ended), 'COMPLETED')
      t.equal(await bus.mark(failed), 'FAILED')
      await bus.set(troubled, 'CANCELED')
      t.equal(await bus.settle(batchId, 'cancel'), false)
      t.match(await bus.counts(batchId), { completed: 1, canceled: 1, failed: 1, troubled: 0 })
      t.equal(await bus.finish(open, 'COMPLETED'), true)
    }),
  )

  t.test(
    'a command that the counts do not include is still to be counted',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await copiedBatch(db, 'canceled_count = 1')
      const [, second] = await bus.commands(2, { batchId, status: 'CANCELED' })

      t.equal(await bus.mark(second as string), null)
      await bus.settle(batchId, 'cancel')
      t.match(await bus.counts(batchId), { canceled: 2 })
    }),
  )

  t.test('two sessions that insert at the same time do not claim the same count', async (t) => {
    const { bus, batchId } = await copiedBatch(pool, 'completed_count = 1')

    const marks = await withTransaction(pool, async (first) => {
      const one = await bus.on(first).command({ batchId, status: 'COMPLETED' })
      return withTransaction(pool, async (second) => {
        const inserted = bus.on(second).command({ batchId, status: 'COMPLETED' })
        await second.waitsFor(first)
        await first.query('commit')
        const two = await inserted
        await second.query('commit')
        return [await bus.mark(one), await bus.mark(two)]
      })
    })

    t.strictSame(marks, ['COMPLETED', null])
  })

  t.test('under repeatable read, the second of two such inserts gets 40001', async (t) => {
    const { bus, batchId } = await copiedBatch(pool, 'completed_count = 1')

    await withTransaction(
      pool,
      async (late) => {
        await late.query('select')
        await bus.command({ batchId, status: 'COMPLETED' })
        const second = bus.on(late).command({ batchId, status: 'COMPLETED' })
        t.equal(await sqlstateOf(second), '40001')
      },
      'repeatable read',
    )
  })

  t.test(
    'leaves the commands of a batch of processes alone',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await copiedBatch(db, 'completed_count = 1', 'PROCESS')

      t.equal(await bus.mark(await bus.command({ batchId, status: 'COMPLETED' })), null)
    }),
  )
})
