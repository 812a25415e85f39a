import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus } from '../bus.ts'

test('start_batch', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)
  const quotasOf = async (db: Queryable, batchId: string): Promise<number[]> => {
    const { rows } = await db.query<{ quota: number }>(
      'select quota from commandbus.batch_counter where batch_id = $1 order by counter_no',
      [batchId],
    )
    return rows.map((row) => row.quota)
  }
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

  t.test(
    'creates 16 counter rows for a large batch whose commands all exist',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1001 })
      await bus.commands(1001, { batchId })

      await bus.startBatch(batchId)

      const quotas = await quotasOf(db, batchId)
      t.equal(quotas.length, 16)
      t.equal(sum(quotas), 1001)
    }),
  )

  for (const [what, total, commands] of [
    ['a batch of 1,000', 1000, 1000],
    ['a batch without all its commands', 1001, 1000],
    ['a batch with one command too many', 1001, 1002],
  ] as const) {
    t.test(
      `counts ${what} in its own row`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total })
        const [first] = await bus.commands(commands, { batchId })

        await bus.finish(first as string, 'COMPLETED')

        t.strictSame(await quotasOf(db, batchId), [])
        t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 1 })
      }),
    )
  }

  t.test(
    'leaves commands that the batch has counted out of the counter rows',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1002 })
      await bus.commands(1000, { batchId })
      await db.query(
        `insert into commandbus.command
         (domain, queue_name, command_id, command_type, status, max_attempts, batch_id, counted_as)
       values ($1, 'q', gen_random_uuid(), 'Pay', 'COMPLETED', 3, $2, 'COMPLETED'),
              ($1, 'q', gen_random_uuid(), 'Pay', 'FAILED', 3, $2, 'AS_STATUS')`,
        [bus.domain, batchId],
      )
      await db.query(
        'update commandbus.batch set completed_count = 1, failed_count = 1 where batch_id = $1',
        [batchId],
      )

      await bus.startBatch(batchId)

      t.equal(sum(await quotasOf(db, batchId)), 1000)
    }),
  )

  t.test('releases the lock of a batch that another session has started', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await bus.on(first).startBatch(batchId)
        const started = bus.on(second).startBatch(batchId)
        await second.waitsFor(first)
        await first.query('commit')
        t.equal(await started, false)

        const lock = 'select from commandbus.batch where batch_id = $1 for update nowait'
        t.equal((await pool.query(lock, [batchId])).rowCount, 1)
      })
    })
  })
})
