import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus, sqlstateOf, untilBlocked, withTransaction } from '../bus.ts'

test('sp_finish_command', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.test('sets the status, and keeps the old errors where it is given none', async (t) => {
    const bus = createBus(pool)
    const id = await bus.command()
    const finish = (...rest: unknown[]) =>
      pool.query('select commandbus.sp_finish_command($1, $2, $3, $4, $5, $6, $7, $8)', [
        ...[bus.domain, id],
        ...rest,
      ])

    await finish('FAILED', 'FAILED', 'TRANSIENT', 'E1', 'no answer', { attempt: 1 })
    await finish('COMPLETED', 'COMPLETED', null, 'E2', null, null)

    const { rows } = await pool.query('select * from commandbus.command where command_id = $1', [
      id,
    ])
    t.match(rows, [
      {
        status: 'COMPLETED',
        last_error_type: 'TRANSIENT',
        last_error_code: 'E2',
        last_error_msg: 'no answer',
      },
    ])
    t.strictSame(await bus.details(id, 'FAILED'), { attempt: 1 })
    t.equal(await bus.details(id, 'COMPLETED'), null)
  })

  for (const [status, counts] of [
    ['COMPLETED', { completed: 1, canceled: 0, troubled: 0 }],
    ['CANCELED', { completed: 0, canceled: 1, troubled: 0 }],
    ['IN_TROUBLESHOOTING_QUEUE', { completed: 0, canceled: 0, troubled: 1 }],
    ['FAILED', { completed: 0, canceled: 0, troubled: 0 }],
    ['IN_PROGRESS', { completed: 0, canceled: 0, troubled: 0 }],
  ] as const) {
    t.test(`counts a finish as ${status} once, however often it is repeated`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 2 })
      const id = await bus.command({ batchId })

      t.equal(await bus.finish(id, status), false)
      t.equal(await bus.finish(id, status), false)

      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', ...counts })
      t.strictSame(await bus.events(id), [`FINISHED_${status}`, `FINISHED_${status}`])
    })
  }

  for (const status of ['PENDING', 'IN_PROGRESS', 'FAILED']) {
    t.test(`a first finish as ${status} stores its error, whatever set that status`, async (t) => {
      const bus = createBus(pool)
      const id = await bus.command()
      const read = async () => {
        const { rows } = await pool.query<{ last_error_code: string }>(
          'select status, last_error_code, updated_at from commandbus.command where command_id = $1',
          [id],
        )
        return rows[0]
      }

      await bus.receiveAs(id, status)
      await bus.finish(id, status, 'E1')
      const finished = await read()
      t.match(finished, { status, last_error_code: 'E1' })

      await bus.finish(id, status, 'E2')
      t.strictSame(await read(), finished, 'a second one leaves the command as it is')

      await bus.receiveAs(id, status)
      await bus.finish(id, status, 'E3')
      t.match(await read(), { status, last_error_code: 'E3' }, 'received again, it is a first one')
      t.equal((await bus.events(id)).length, 5)
    })
  }

  for (const [was, status] of [
    ['COMPLETED', 'COMPLETED'],
    ['CANCELED', 'FAILED'],
    ['IN_TROUBLESHOOTING_QUEUE', 'FAILED'],
    ['PENDING', 'PENDING'],
  ] as const) {
    t.test(`a finish as ${status} of a command ${was} starts the batch`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 2 })
      const id = await bus.command({ batchId })
      await bus.set(id, was)

      t.equal(await bus.finish(id, status), false)

      t.equal(await bus.status(id), was)
      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })
      t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
    })
  }

  for (const final of ['COMPLETED', 'CANCELED']) {
    t.test(`a command that is ${final} is only audited from then on`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 2 })
      const id = await bus.command({ batchId })
      await bus.finish(id, final)
      const before = await bus.counts(batchId)

      for (const status of ['COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE']) {
        t.equal(await bus.finish(id, status), false)
      }

      t.equal(await bus.status(id), final)
      t.strictSame(await bus.counts(batchId), before)
      t.equal((await bus.events(id)).length, 5)
    })
  }

  t.test('from troubleshooting it moves to an end, and to nothing else', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 3 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]
    await bus.finish(one, 'IN_TROUBLESHOOTING_QUEUE')
    await bus.finish(two, 'IN_TROUBLESHOOTING_QUEUE')

    for (const status of ['PENDING', 'IN_PROGRESS', 'FAILED']) await bus.finish(one, status)
    t.equal(await bus.status(one), 'IN_TROUBLESHOOTING_QUEUE')
    t.match(await bus.counts(batchId), { completed: 0, canceled: 0, troubled: 2 })

    await bus.finish(one, 'COMPLETED')
    await bus.finish(two, 'CANCELED')
    t.match(await bus.counts(batchId), { completed: 1, canceled: 1, troubled: 0 })
  })

  t.test('tells the one call that completed the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]

    t.equal(await bus.finish(one, 'COMPLETED'), false)
    t.equal(await bus.finish(two, 'COMPLETED'), true)
    t.equal(await bus.finish(two, 'COMPLETED'), false)

    t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
    t.strictSame(await bus.details(batchId, 'BATCH_COMPLETED'), {
      batch_id: batchId,
      total_count: 2,
      completed_count: 2,
      canceled_count: 0,
    })
  })

  t.test('a batch with a canceled command completes with failures', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    t.equal(await bus.finish(await bus.command({ batchId }), 'CANCELED'), true)

    t.match(await bus.counts(batchId), { status: 'COMPLETED_WITH_FAILURES', canceled: 1 })
  })

  t.test('a batch with a command in troubleshooting is not complete', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]

    t.equal(await bus.finish(one, 'IN_TROUBLESHOOTING_QUEUE'), false)
    t.equal(await bus.finish(two, 'COMPLETED'), false)
    t.equal(await bus.finish(one, 'COMPLETED'), true)
  })

  t.test('counting stops at the announced total', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two, three] = (await bus.commands(3, { batchId })) as [string, string, string]

    await bus.finish(one, 'COMPLETED')
    t.equal(await bus.finish(two, 'COMPLETED'), true)
    t.equal(await bus.finish(three, 'CANCELED'), false)

    t.equal(await bus.status(three), 'CANCELED')
    t.equal(await bus.mark(three), null)
    t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2, canceled: 0 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
  })

  t.test('a batch of 0 is never completed', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 0 })

    t.equal(await bus.finish(await bus.command({ batchId }), 'COMPLETED'), false)

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 0 })
  })

  t.test('counts for the batch that the command names, whatever the caller says', async (t) => {
    const bus = createBus(pool)
    const [own, other] = [await bus.batch({ total: 1 }), await bus.batch({ total: 1 })]
    const id = await bus.command({ batchId: own })

    const { rows } = await pool.query(
      `select commandbus.sp_finish_command($1, $2, 'COMPLETED', 'COMPLETED', null, null, null, null, $3)
           as completed`,
      [bus.domain, id, other],
    )

    t.strictSame(rows, [{ completed: true }])
    t.match(await bus.counts(other), { status: 'PENDING', completed: 0 })
  })

  t.test('an unknown command is audited, and that is all', async (t) => {
    const bus = createBus(pool)
    const id = randomUUID()

    t.equal(await bus.finish(id, 'COMPLETED'), false)

    t.strictSame(await bus.events(id), ['FINISHED_COMPLETED'])
  })

  t.test('refuses a status that does not exist, and nulls, and writes nothing', async (t) => {
    const bus = createBus(pool)
    const id = await bus.command()
    const finish = (values: unknown[]) =>
      sqlstateOf(pool.query('select commandbus.sp_finish_command($1, $2, $3, $4)', values))

    t.equal(await finish([bus.domain, id, 'DONE', 'DONE']), '22023')
    t.equal(await finish([bus.domain, id, null, 'DONE']), '22023')
    t.equal(await finish([bus.domain, id, 'COMPLETED', null]), '22004')
    t.equal(await finish([null, id, 'COMPLETED', 'DONE']), '22004')
    t.equal(await finish([bus.domain, null, 'COMPLETED', 'DONE']), '22004')
    t.equal(await bus.status(id), 'PENDING')
    t.strictSame(await bus.events(id), [])
  })

  t.test('a slow worker and its twin count once, whichever commits first', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })
    await bus.receive(id)

    await withTransaction(pool, async (slow) => {
      await withTransaction(pool, async (twin) => {
        await bus.on(slow).finish(id, 'COMPLETED')
        const second = bus.on(twin).finish(id, 'COMPLETED')
        await untilBlocked(pool, twin)
        await slow.query('commit')
        t.equal(await second, false)
        await twin.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { completed: 1 })
  })

  t.test('the last two at once: one waits, and only it completes the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]
    await bus.startBatch(batchId)

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        t.equal(await bus.on(first).finish(one, 'COMPLETED'), false)
        const last = bus.on(second).finish(two, 'COMPLETED')
        await untilBlocked(pool, second)
        await first.query('commit')
        t.equal(await last, true)
        await second.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2 })
  })

  t.test('under repeatable read the late one gets 40001, never a wrong count', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]
    await bus.startBatch(batchId)

    await withTransaction(
      pool,
      async (late) => {
        await late.query('select')
        t.equal(await bus.finish(one, 'COMPLETED'), false)
        t.equal(await sqlstateOf(bus.on(late).finish(two, 'COMPLETED')), '40001')
      },
      'repeatable read',
    )

    t.equal(await bus.finish(two, 'COMPLETED'), true)
    t.match(await bus.counts(batchId), { completed: 2 })
  })

  t.test('waits for whoever starts its batch, without holding the command', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]

    await withTransaction(pool, async (receiver) => {
      await withTransaction(pool, async (finisher) => {
        await bus.on(receiver).receive(one)
        const finished = bus.on(finisher).finish(two, 'COMPLETED')
        await untilBlocked(pool, finisher)
        t.equal((await bus.on(receiver).receive(two)).rowCount, 1)
        await receiver.query('commit')
        t.equal(await finished, false)
        await finisher.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 1 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })

  t.test('waits for whoever holds its command, without holding the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })

    await withTransaction(pool, async (operator) => {
      await withTransaction(pool, async (finisher) => {
        await operator.query(
          "update commandbus.command set status = 'CANCELED' where command_id = $1",
          [id],
        )
        const finished = bus.on(finisher).finish(id, 'COMPLETED')
        await untilBlocked(pool, finisher)
        await operator.query('select commandbus.sp_tsq_cancel($1, $2)', [bus.domain, batchId])
        await operator.query('commit')
        t.equal(await finished, false)
        await finisher.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 0, canceled: 1 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })

  t.test('starts the batch itself where the starter rolled back', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })

    await withTransaction(pool, async (starter) => {
      await bus.on(starter).startBatch(batchId)
      await withTransaction(pool, async (finisher) => {
        const finished = bus.on(finisher).finish(id, 'COMPLETED')
        await untilBlocked(pool, finisher)
        await starter.query('rollback')
        await finished
        await finisher.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 1 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })
})
