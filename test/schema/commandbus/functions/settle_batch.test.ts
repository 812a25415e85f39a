import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus, isBatchFree, sqlstateOf, untilBlocked, withTransaction } from '../bus.ts'

test('settle_batch', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.test('counts every command whose status is not what the batch holds for it', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 5 })
    const ids = (await bus.commands(5, { batchId })) as [string, string, string, string, string]
    await bus.finish(ids[0], 'IN_TROUBLESHOOTING_QUEUE')
    await bus.finish(ids[1], 'IN_TROUBLESHOOTING_QUEUE')
    await bus.set(ids[0], 'COMPLETED')
    await bus.set(ids[1], 'PENDING')
    await bus.set(ids[2], 'CANCELED')
    await bus.set(ids[3], 'IN_TROUBLESHOOTING_QUEUE')

    t.equal(await bus.settle(batchId, 'retry'), false)

    t.match(await bus.counts(batchId), { completed: 1, canceled: 1, troubled: 1 })
    t.strictSame(await Promise.all(ids.map((id) => bus.mark(id))), [
      ...['COMPLETED', null, 'CANCELED', 'IN_TROUBLESHOOTING_QUEUE', null],
    ])
  })

  t.test('a retried command counts again when it is finished', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    const id = await bus.command({ batchId })
    await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')
    await bus.set(id, 'PENDING')
    await bus.settle(batchId, 'retry')

    t.equal((await bus.receive(id)).rowCount, 1)
    t.equal(await bus.finish(id, 'COMPLETED'), true)
  })

  t.test('a finish counts the move that an operator forgot to count', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    const id = await bus.command({ batchId })
    await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')
    await bus.set(id, 'PENDING')

    t.equal(await bus.finish(id, 'COMPLETED'), true)

    t.match(await bus.counts(batchId), { completed: 1, troubled: 0 })
  })

  t.test(
    'the batch that an operator ends before anybody received from it has started',
    async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 1 })
      const id = await bus.command({ batchId })
      await bus.set(id, 'CANCELED')

      t.equal(await bus.settle(batchId, 'cancel'), true)

      t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
    },
  )

  t.test('two operators on one command: the late one is refused, it counts once', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })
    await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (late) => {
        await bus.on(first).set(id, 'COMPLETED')
        await bus.on(first).settle(batchId, 'complete')
        const refused = sqlstateOf(bus.on(late).set(id, 'PENDING'))
        await untilBlocked(pool, late)
        await first.query('commit')
        t.equal(await refused, '55000')
      })
    })

    t.match(await bus.counts(batchId), { completed: 1, troubled: 0 })
  })

  t.test('leaves a command that another session holds to that session', async (t) => {
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

  t.test('takes all the counter rows that it needs before the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1001 })
    await bus.commands(1001, { batchId })
    // The first command of two different counter rows: an order that the ids do not have.
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
        await untilBlocked(pool, operator)
        t.equal(await isBatchFree(pool, batchId), true)
        await worker.query('commit')
        await settled
        await operator.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { troubled: 0 })
  })

  t.test('counts no further than the announced total', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    for (const id of await bus.commands(3, { batchId })) await bus.set(id, 'CANCELED')

    t.equal(await bus.settle(batchId, 'cancel'), true)
    t.equal(await bus.settle(batchId, 'cancel'), false)

    t.match(await bus.counts(batchId), { canceled: 1 })
  })
})
