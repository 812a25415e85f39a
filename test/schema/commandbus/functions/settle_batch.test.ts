import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isBatchFree, sqlstateOf } from '../bus.ts'

test('settle_batch', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'counts every command whose status differs from its mark',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 7 })
      const expected = [
        { was: 'IN_TROUBLESHOOTING_QUEUE', is: 'COMPLETED', mark: 'COMPLETED' },
        { was: 'IN_TROUBLESHOOTING_QUEUE', is: 'PENDING', mark: null },
        { was: 'IN_TROUBLESHOOTING_QUEUE', is: 'FAILED', mark: 'FAILED' },
        { is: 'CANCELED', mark: 'CANCELED' },
        { is: 'FAILED', mark: 'FAILED' },
        { is: 'IN_TROUBLESHOOTING_QUEUE', mark: 'IN_TROUBLESHOOTING_QUEUE' },
        { is: 'IN_PROGRESS', mark: null },
      ]
      const ids: string[] = []
      for (const { was, is } of expected) {
        const id = await bus.command({ batchId })
        if (was !== undefined) await bus.finish(id, was)
        await bus.set(id, is)
        ids.push(id)
      }

      t.equal(await bus.settle(batchId, 'retry'), false)

      t.match(await bus.counts(batchId), { completed: 1, canceled: 1, failed: 2, troubled: 1 })
      t.strictSame(
        await Promise.all(ids.map((id) => bus.mark(id))),
        expected.map(({ mark }) => mark),
      )
    }),
  )

  t.test(
    'a retried command counts again when it is finished',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const { batchId, id } = await bus.troubledBatch(1)
      await bus.set(id, 'PENDING')
      await bus.settle(batchId, 'retry')

      t.equal((await bus.receive(id)).rowCount, 1)
      t.equal(await bus.finish(id, 'COMPLETED'), true)
    }),
  )

  t.test(
    'a finish counts a move that an operator did not settle',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const { batchId, id } = await bus.troubledBatch(1)
      await bus.set(id, 'PENDING')

      t.equal(await bus.finish(id, 'COMPLETED'), true)

      t.match(await bus.counts(batchId), { completed: 1, troubled: 0 })
    }),
  )

  t.test(
    'an operator who finishes a batch before its first receive starts it',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1 })
      const id = await bus.command({ batchId })
      await bus.set(id, 'CANCELED')

      t.equal(await bus.settle(batchId, 'cancel'), true)

      t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
    }),
  )

  t.test('of two operators on one command, the second fails, and it counts once', async (t) => {
    const bus = createBus(pool)
    const { batchId, id } = await bus.troubledBatch(2)

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (late) => {
        await bus.on(first).set(id, 'COMPLETED')
        await bus.on(first).settle(batchId, 'complete')
        const refused = sqlstateOf(bus.on(late).set(id, 'PENDING'))
        await late.waitsFor(first)
        await first.query('commit')
        t.equal(await refused, '55000')
      })
    })

    t.match(await bus.counts(batchId), { completed: 1, troubled: 0 })
  })

  t.test('skips a command that another session has locked', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [held, own] = (await bus.commands(2, { batchId })) as [string, string]
    await bus.set(held, 'CANCELED')
    await bus.set(own, 'CANCELED')

    await withTransaction(pool, async (holder) => {
      await holder.query('select from commandbus.command where command_id = $1 for update', [held])
      t.equal(await bus.settle(batchId, 'cancel'), false)
      t.match(await bus.counts(batchId), { canceled: 1 })
    })

    t.equal(await bus.settle(batchId, 'cancel'), true)
  })

  t.test('locks all counter rows before the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1001 })
    await bus.commands(1001, { batchId })
    // The first commands of two counter rows, in an order that the counter numbers do not have.
    const { rows } = await pool.query<{ id: string; counter_no: number }>(
      `select min(command_id::text) as id, counter_no
         from commandbus.command, commandbus.counter_no(command_id)
        where batch_id = $1
        group by counter_no
        order by id
        limit 2`,
      [batchId],
    )
    for (const { id } of rows) {
      await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')
      await bus.set(id, 'PENDING')
    }

    await withTransaction(pool, async (worker) => {
      await withTransaction(pool, async (operator) => {
        await worker.query(
          'select from commandbus.batch_counter where batch_id = $1 and counter_no = $2 for update',
          [batchId, rows[1]?.counter_no],
        )
        const settled = bus.on(operator).settle(batchId, 'retry')
        await operator.waitsFor(worker)
        t.equal(await isBatchFree(pool, batchId), true)
        await worker.query('commit')
        await settled
        await operator.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { troubled: 0 })
  })

  t.test(
    'counts no further than the announced total',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1 })
      for (const id of await bus.commands(3, { batchId })) await bus.set(id, 'CANCELED')

      t.equal(await bus.settle(batchId, 'cancel'), true)
      t.equal(await bus.settle(batchId, 'cancel'), false)

      t.match(await bus.counts(batchId), { canceled: 1 })
    }),
  )
})
