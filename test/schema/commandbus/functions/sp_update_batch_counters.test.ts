import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isBatchFree, sqlstateOf } from '../bus.ts'

test('sp_update_batch_counters', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'moves the counters by each kind',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 9 })

      for (const [type, counts] of [
        ['complete', { completed: 1, canceled: 0, failed: 0, troubled: 0 }],
        ['tsq_move', { completed: 1, canceled: 0, failed: 0, troubled: 1 }],
        ['tsq_retry', { completed: 1, canceled: 0, failed: 0, troubled: 0 }],
        ['tsq_move', { completed: 1, canceled: 0, failed: 0, troubled: 1 }],
        ['tsq_complete', { completed: 2, canceled: 0, failed: 0, troubled: 0 }],
        ['tsq_move', { completed: 2, canceled: 0, failed: 0, troubled: 1 }],
        ['tsq_cancel', { completed: 2, canceled: 1, failed: 0, troubled: 0 }],
        ['failed', { completed: 2, canceled: 1, failed: 1, troubled: 0 }],
      ] as const) {
        t.equal(await bus.updateCounters(batchId, type), false)
        t.match(await bus.counts(batchId), counts)
      }
    }),
  )

  t.test(
    'is true for the call that completes the batch',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2 })

      t.equal(await bus.updateCounters(batchId, 'complete'), false)
      t.equal(await bus.updateCounters(batchId, 'complete'), true)
      t.equal(await bus.updateCounters(batchId, 'complete'), false)

      t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2 })
    }),
  )

  for (const [size, total] of [
    ['small', 2],
    ['large', 1001],
  ] as const) {
    t.test(
      `keeps the counters of a ${size} batch within their bounds`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total })
        await bus.commands(total, { batchId })
        await bus.startBatch(batchId)

        for (const type of ['tsq_complete', 'tsq_cancel', 'tsq_retry']) {
          t.equal(await bus.updateCounters(batchId, type), false)
        }
        t.match(await bus.exactCounts(batchId), { completed: 0, canceled: 0, troubled: 0 })

        await bus.updateCounters(batchId, 'tsq_move')
        await bus.updateCounters(batchId, 'tsq_retry')
        t.match(await bus.exactCounts(batchId), { completed: 0, failed: 0, troubled: 0 })
        await db.query(
          `select commandbus.sp_update_batch_counters($1, $2, 'tsq_move') from generate_series(1, $3::int)`,
          [bus.domain, batchId, total + 1],
        )
        t.equal(await bus.updateCounters(batchId, 'complete'), false)
        t.equal(await bus.updateCounters(batchId, 'failed'), false)
        t.match(await bus.exactCounts(batchId), {
          completed: 0,
          canceled: 0,
          failed: 0,
          troubled: total,
        })
      }),
    )
  }

  t.test(
    'is false for a batch of processes, and changes nothing',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1, type: 'PROCESS' })
      const before = await bus.counts(batchId)

      for (const type of ['complete', 'failed', 'tsq_move']) {
        t.equal(await bus.updateCounters(batchId, type), false)
      }
      t.strictSame(await bus.counts(batchId), before)
    }),
  )

  t.test(
    'a large batch completes when total_count commands are counted',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1001 })
      const ids = await bus.commands(1001, { batchId })
      await bus.finish(ids[0] as string, 'COMPLETED')

      const { rows } = await db.query(
        `select n::int
         from generate_series(1, 1002) as n
        where commandbus.sp_update_batch_counters($1, $2, 'complete')`,
        [bus.domain, batchId],
      )

      t.strictSame(rows, [{ n: 1000 }])
      t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 1001 })
    }),
  )

  for (const type of ['tsq_move', 'failed', 'tsq_retry']) {
    t.test(`${type} waits for a counter row without locking the batch`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 1001 })
      await bus.commands(1001, { batchId })
      await bus.startBatch(batchId)
      await bus.updateCounters(batchId, 'tsq_move')

      await withTransaction(pool, async (worker) => {
        await withTransaction(pool, async (caller) => {
          await worker.query(
            'select from commandbus.batch_counter where batch_id = $1 and counter_no = 0 for update',
            [batchId],
          )
          const moved = bus.on(caller).updateCounters(batchId, type)
          await caller.waitsFor(worker)
          t.equal(await isBatchFree(pool, batchId), true)
          await worker.query('commit')
          t.equal(await moved, false)
        })
      })
    })
  }

  t.test('releases the lock of a batch that another session started meanwhile', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })

    await withTransaction(pool, async (starter) => {
      await withTransaction(pool, async (caller) => {
        await bus.on(starter).startBatch(batchId)
        const forbidden = bus.on(caller).updateCounters(batchId, 'tsq_retry')
        await caller.waitsFor(starter)
        await starter.query('commit')
        t.equal(await forbidden, false)
        t.equal(await isBatchFree(pool, batchId), true)
      })
    })
  })

  t.test(
    'rejects an unknown kind, and is false for a null or unknown batch',
    rolledBack(async (t, db) => {
      const bus = createBus(db)

      t.equal(await sqlstateOf(bus.updateCounters(null, 'done')), '22023')
      t.equal(await bus.updateCounters(null, 'complete'), false)
      t.equal(await bus.updateCounters(randomUUID(), 'complete'), false)
      const { rows } = await db.query(
        `select commandbus.sp_update_batch_counters(null, null, 'complete') as completed`,
      )
      t.strictSame(rows, [{ completed: false }])
    }),
  )

  t.test(
    'rejects a null kind',
    rolledBack(async (t, db) => {
      const call = db.query('select commandbus.sp_update_batch_counters(null, null, null)')

      t.equal(await sqlstateOf(call), '22023')
    }),
  )
})
