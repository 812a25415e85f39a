import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, sqlstateOf } from '../bus.ts'

test('sp_finish_command', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'sets the status, and keeps each error field for which it is given null',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()
      const finish = (...rest: unknown[]) =>
        db.query('select commandbus.sp_finish_command($1, $2, $3, $4, $5, $6, $7, $8)', [
          bus.domain,
          id,
          ...rest,
        ])

      await finish('PENDING', 'FAILED', 'TRANSIENT', 'E1', 'no answer', { attempt: 1 })
      await finish('COMPLETED', 'COMPLETED', null, 'E2', null, null)

      const { rows } = await db.query('select * from commandbus.command where command_id = $1', [
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
    }),
  )

  for (const [status, counts] of [
    ['COMPLETED', { completed: 1, canceled: 0, failed: 0, troubled: 0 }],
    ['CANCELED', { completed: 0, canceled: 1, failed: 0, troubled: 0 }],
    ['FAILED', { completed: 0, canceled: 0, failed: 1, troubled: 0 }],
    ['IN_TROUBLESHOOTING_QUEUE', { completed: 0, canceled: 0, failed: 0, troubled: 1 }],
    ['IN_PROGRESS', { completed: 0, canceled: 0, failed: 0, troubled: 0 }],
    ['PENDING', { completed: 0, canceled: 0, failed: 0, troubled: 0 }],
  ] as const) {
    t.test(
      `counts a finish as ${status} once, however often it is repeated`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 2 })
        const id = await bus.command({ batchId })

        t.equal(await bus.finish(id, status), false)
        t.equal(await bus.finish(id, status), false)

        t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', ...counts })
        t.strictSame(await bus.events(id), [`FINISHED_${status}`, `FINISHED_${status}`])
      }),
    )
  }

  for (const status of ['PENDING', 'IN_PROGRESS']) {
    t.test(
      `the first finish as ${status} stores its error, even if a receive set the status`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const id = await bus.command()
        const read = async () => {
          const { rows } = await db.query<{ last_error_code: string }>(
            'select status, last_error_code, ctid::text as version from commandbus.command where command_id = $1',
            [id],
          )
          return rows[0]
        }

        await bus.receiveAs(id, status)
        await bus.finish(id, status, 'E1')
        const finished = await read()
        t.match(finished, { status, last_error_code: 'E1' })

        await bus.finish(id, status, 'E2')
        t.strictSame(await read(), finished, 'the second finish does not change the command')

        await bus.receiveAs(id, status)
        await bus.finish(id, status, 'E3')
        t.match(
          await read(),
          { status, last_error_code: 'E3' },
          'after another receive, it is the first again',
        )
        t.equal((await bus.events(id)).length, 5)
      }),
    )
  }

  for (const [was, status] of [
    ['COMPLETED', 'COMPLETED'],
    ['CANCELED', 'FAILED'],
    ['FAILED', 'COMPLETED'],
    ['IN_TROUBLESHOOTING_QUEUE', 'PENDING'],
    ['PENDING', 'PENDING'],
  ] as const) {
    t.test(
      `a finish as ${status} of a command that is ${was} starts the batch`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 2 })
        const id = await bus.command({ batchId })
        await bus.set(id, was)

        t.equal(await bus.finish(id, status), false)

        t.equal(await bus.status(id), was)
        t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })
        t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
      }),
    )
  }

  for (const final of ['COMPLETED', 'CANCELED', 'FAILED']) {
    t.test(
      `a finish of a command that is ${final} is only audited`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
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
      }),
    )
  }

  t.test(
    'from troubleshooting a finish moves a command to a final status only',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 4 })
      const [one, two, three] = (await bus.commands(3, { batchId })) as [string, string, string]
      for (const id of [one, two, three]) await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')

      for (const status of ['PENDING', 'IN_PROGRESS']) await bus.finish(one, status)
      t.equal(await bus.status(one), 'IN_TROUBLESHOOTING_QUEUE')
      t.match(await bus.counts(batchId), { completed: 0, canceled: 0, failed: 0, troubled: 3 })

      await bus.finish(one, 'COMPLETED')
      await bus.finish(two, 'CANCELED')
      await bus.finish(three, 'FAILED')
      t.match(await bus.counts(batchId), { completed: 1, canceled: 1, failed: 1, troubled: 0 })
    }),
  )

  t.test(
    'is true for the one call that completed the batch',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
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
        failed_count: 0,
      })
    }),
  )

  for (const status of ['CANCELED', 'FAILED']) {
    t.test(
      `a batch with a command that is ${status} completes with failures`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 2 })
        const [one, two] = (await bus.commands(2, { batchId })) as [string, string]

        t.equal(await bus.finish(one, status), false)
        t.equal(await bus.finish(two, 'COMPLETED'), true)

        t.match(await bus.counts(batchId), { status: 'COMPLETED_WITH_FAILURES', completed: 1 })
        t.match(await bus.details(batchId, 'BATCH_COMPLETED'), {
          canceled_count: status === 'CANCELED' ? 1 : 0,
          failed_count: status === 'FAILED' ? 1 : 0,
        })
      }),
    )
  }

  t.test(
    'neither starts nor counts for a batch of processes',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1, type: 'PROCESS' })
      const before = await bus.counts(batchId)

      for (const status of ['IN_TROUBLESHOOTING_QUEUE', 'COMPLETED', 'CANCELED', 'FAILED']) {
        const id = await bus.command({ batchId })
        t.equal(await bus.finish(id, status), false)
        t.equal(await bus.status(id), status)
        t.equal(await bus.mark(id), null)
      }

      t.strictSame(await bus.counts(batchId), before)
      t.strictSame(await bus.events(batchId), [])
    }),
  )

  t.test(
    'a batch with a command in troubleshooting is not complete',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2 })
      const [one, two] = (await bus.commands(2, { batchId })) as [string, string]

      t.equal(await bus.finish(one, 'IN_TROUBLESHOOTING_QUEUE'), false)
      t.equal(await bus.finish(two, 'COMPLETED'), false)
      t.equal(await bus.finish(one, 'COMPLETED'), true)
    }),
  )

  t.test(
    'counting stops at the announced total',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2 })
      const [one, two, three] = (await bus.commands(3, { batchId })) as [string, string, string]

      await bus.finish(one, 'COMPLETED')
      t.equal(await bus.finish(two, 'COMPLETED'), true)
      t.equal(await bus.finish(three, 'CANCELED'), false)

      t.equal(await bus.status(three), 'CANCELED')
      t.equal(await bus.mark(three), null)
      t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2, canceled: 0 })
      t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
    }),
  )

  t.test(
    'a batch of 0 is never completed',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 0 })

      t.equal(await bus.finish(await bus.command({ batchId }), 'COMPLETED'), false)

      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 0 })
    }),
  )

  t.test(
    'counts for the batch that the command names, and ignores p_batch_id',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const [own, other] = [await bus.batch({ total: 1 }), await bus.batch({ total: 1 })]
      const id = await bus.command({ batchId: own })

      const { rows } = await db.query(
        `select commandbus.sp_finish_command($1, $2, 'COMPLETED', 'COMPLETED', null, null, null, null, $3)
           as completed`,
        [bus.domain, id, other],
      )

      t.strictSame(rows, [{ completed: true }])
      t.match(await bus.counts(other), { status: 'PENDING', completed: 0 })
    }),
  )

  t.test(
    'only audits an unknown command',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = randomUUID()

      t.equal(await bus.finish(id, 'COMPLETED'), false)

      t.strictSame(await bus.events(id), ['FINISHED_COMPLETED'])
    }),
  )

  t.test(
    'rejects unknown statuses and nulls, and writes nothing',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()
      const finish = (values: unknown[]) =>
        sqlstateOf(db.query('select commandbus.sp_finish_command($1, $2, $3, $4)', values))

      t.equal(await finish([bus.domain, id, 'DONE', 'DONE']), '22023')
      t.equal(await finish([bus.domain, id, null, 'DONE']), '22023')
      t.equal(await finish([bus.domain, id, 'COMPLETED', null]), '22004')
      t.equal(await finish([null, id, 'COMPLETED', 'DONE']), '22004')
      t.equal(await finish([bus.domain, null, 'COMPLETED', 'DONE']), '22004')
      t.equal(await bus.status(id), 'PENDING')
      t.strictSame(await bus.events(id), [])
    }),
  )

  t.test(
    'a finish that would only be audited counts if the command was retried meanwhile',
    async (t) => {
      const bus = createBus(pool)
      const { batchId, id } = await bus.troubledBatch(2)

      await withTransaction(pool, async (operator) => {
        await withTransaction(pool, async (worker) => {
          await bus.on(operator).set(id, 'PENDING')
          await bus.on(operator).settle(batchId, 'retry')
          const finished = bus.on(worker).finish(id, 'IN_TROUBLESHOOTING_QUEUE', 'E2')
          await worker.waitsFor(operator)
          await operator.query('commit')
          t.equal(await finished, false)
          await worker.query('commit')
        })
      })

      t.equal(await bus.mark(id), 'IN_TROUBLESHOOTING_QUEUE')
      t.match(await bus.counts(batchId), { troubled: 1 })
    },
  )

  t.test('a slow worker and its twin finish a command that counts once', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })
    await bus.receive(id)

    await withTransaction(pool, async (slow) => {
      await withTransaction(pool, async (twin) => {
        await bus.on(slow).finish(id, 'COMPLETED')
        const second = bus.on(twin).finish(id, 'COMPLETED')
        await twin.waitsFor(slow)
        await slow.query('commit')
        t.equal(await second, false)
        await twin.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { completed: 1 })
  })

  t.test('of two concurrent last finishes, the one that waits completes the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]
    await bus.startBatch(batchId)

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        t.equal(await bus.on(first).finish(one, 'COMPLETED'), false)
        const last = bus.on(second).finish(two, 'COMPLETED')
        await second.waitsFor(first)
        await first.query('commit')
        t.equal(await last, true)
        await second.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2 })
  })

  t.test(
    'under repeatable read the second finish gets 40001, and the count stays right',
    async (t) => {
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
    },
  )

  t.test('waits for the session that starts the batch without locking the command', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [one, two] = (await bus.commands(2, { batchId })) as [string, string]

    await withTransaction(pool, async (receiver) => {
      await withTransaction(pool, async (finisher) => {
        await bus.on(receiver).receive(one)
        const finished = bus.on(finisher).finish(two, 'COMPLETED')
        await finisher.waitsFor(receiver)
        t.equal((await bus.on(receiver).receive(two)).rowCount, 1)
        await receiver.query('commit')
        t.equal(await finished, false)
        await finisher.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 1 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })

  t.test('waits for the session that locked the command without locking the batch', async (t) => {
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
        await finisher.waitsFor(operator)
        await operator.query('select commandbus.sp_tsq_cancel($1, $2)', [bus.domain, batchId])
        await operator.query('commit')
        t.equal(await finished, false)
        await finisher.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 0, canceled: 1 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })

  t.test('starts the batch if the session that was starting it rolls back', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })

    await withTransaction(pool, async (starter) => {
      await bus.on(starter).startBatch(batchId)
      await withTransaction(pool, async (finisher) => {
        const finished = bus.on(finisher).finish(id, 'COMPLETED')
        await finisher.waitsFor(starter)
        await starter.query('rollback')
        await finished
        await finisher.query('commit')
      })
    })

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 1 })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })
})
