import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, sqlstateOf } from '../bus.ts'

test('sp_receive_command', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'counts an attempt, sets the status, and audits it',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()

      const { rows, fields } = await bus.receive(id)

      t.strictSame(
        fields.map((field) => field.name),
        [
          'domain',
          'command_id',
          'command_type',
          'status',
          'attempts',
          'max_attempts',
          'msg_id',
          'correlation_id',
          'reply_queue',
          'last_error_type',
          'last_error_code',
          'last_error_msg',
          'created_at',
          'updated_at',
          'batch_id',
        ],
      )
      t.match(rows, [{ command_id: id, status: 'IN_PROGRESS', attempts: 1, max_attempts: 3 }])
      t.equal(rows.length, 1)
      t.equal(await bus.status(id), 'IN_PROGRESS')
      t.strictSame(await bus.details(id, 'RECEIVED'), { msg_id: 7, attempt: 1, max_attempts: 3 })
    }),
  )

  t.test(
    'returns the given msg_id and max_attempts without storing them',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()

      const { rows } = await db.query(
        `select * from commandbus.sp_receive_command($1, $2, 'IN_PROGRESS', 99, 5)`,
        [bus.domain, id],
      )

      t.match(rows, [{ msg_id: '99', max_attempts: 5 }])
      t.strictSame(await bus.details(id, 'RECEIVED'), { msg_id: 99, attempt: 1, max_attempts: 5 })
      t.match((await bus.receive(id)).rows, [{ msg_id: '7', max_attempts: 3 }])
    }),
  )

  t.test(
    'receives a redelivered command again',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()
      await bus.receive(id)

      t.match((await bus.receive(id)).rows, [{ attempts: 2 }])
      t.strictSame(await bus.events(id), ['RECEIVED', 'RECEIVED'])
    }),
  )

  for (const status of ['COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE']) {
    t.test(
      `returns no row and writes nothing if the command is ${status}`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const id = await bus.command({ status })

        t.equal((await bus.receive(id)).rowCount, 0)
        t.equal(await bus.status(id), status)
        t.strictSame(await bus.events(id), [])
      }),
    )
  }

  t.test(
    'returns no row and writes nothing if the command is unknown',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = randomUUID()

      t.equal((await bus.receive(id)).rowCount, 0)
      t.equal((await db.query('select from commandbus.sp_receive_command(null, null)')).rowCount, 0)
      t.strictSame(await bus.events(id), [])
    }),
  )

  t.test(
    'accepts IN_PROGRESS and PENDING, and no other status',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()
      const into = (status: string | null) =>
        db.query('select * from commandbus.sp_receive_command($1, $2, $3)', [
          bus.domain,
          id,
          status,
        ])

      for (const status of ['IN_PROGRESS', 'PENDING']) {
        t.match((await into(status)).rows, [{ status }])
      }
      for (const status of [
        'COMPLETED',
        'CANCELED',
        'FAILED',
        'IN_TROUBLESHOOTING_QUEUE',
        'pending',
        null,
      ]) {
        t.equal(await sqlstateOf(into(status)), '22023')
      }
      t.equal((await bus.events(id)).length, 2)
    }),
  )

  t.test(
    'starts the batch once',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2 })
      const [first, second] = await bus.commands(2, { batchId })

      await bus.receive(first as string)
      await bus.receive(second as string)

      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })
      t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
      t.strictSame(await bus.details(batchId, 'BATCH_STARTED'), { batch_id: batchId })
    }),
  )

  t.test(
    'does not start a batch of processes',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 1, type: 'PROCESS' })

      t.equal((await bus.receive(await bus.command({ batchId }))).rowCount, 1)

      t.match(await bus.counts(batchId), { status: 'PENDING' })
      t.strictSame(await bus.events(batchId), [])
    }),
  )

  t.test('never waits to start a batch; the next receive starts it', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [first, second] = await bus.commands(2, { batchId })
    await withTransaction(pool, async (starter) => {
      t.equal(await bus.on(starter).startBatch(batchId), true)

      t.equal((await bus.receive(first as string)).rowCount, 1)
      t.match(await bus.counts(batchId), { status: 'PENDING' })
    })

    await bus.receive(second as string)

    t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED'])
  })

  t.test('does not lock a batch that has started, and does not wait for its lock', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const [first, second] = await bus.commands(2, { batchId })
    await bus.receive(first as string)
    const lock = 'select from commandbus.batch where batch_id = $1 for update nowait'

    await withTransaction(pool, async (receiver) => {
      t.equal((await bus.on(receiver).receive(second as string)).rowCount, 1)
      t.equal((await pool.query(lock, [batchId])).rowCount, 1)
    })
    await withTransaction(pool, async (holder) => {
      await holder.query(lock, [batchId])
      t.equal((await bus.receive(second as string)).rowCount, 1)
    })
  })

  t.test(
    'two sessions receive from two batches in opposite orders without a deadlock',
    async (t) => {
      const bus = createBus(pool)
      const [a, b] = [await bus.batch({ total: 2 }), await bus.batch({ total: 2 })]
      const [a1, a2] = (await bus.commands(2, { batchId: a })) as [string, string]
      const [b1, b2] = (await bus.commands(2, { batchId: b })) as [string, string]

      await withTransaction(pool, async (one) => {
        await withTransaction(pool, async (two) => {
          await bus.on(one).receive(a1)
          await bus.on(two).receive(b1)
          t.equal((await bus.on(one).receive(b2)).rowCount, 1)
          t.equal((await bus.on(two).receive(a2)).rowCount, 1)
          await one.query('commit')
          await two.query('commit')
        })
      })

      t.match(await bus.counts(a), { status: 'IN_PROGRESS' })
      t.match(await bus.counts(b), { status: 'IN_PROGRESS' })
    },
  )

  t.test('waits for a finish of the same command, then returns no row', async (t) => {
    const bus = createBus(pool)
    const id = await bus.command()

    await withTransaction(pool, async (finisher) => {
      await bus.on(finisher).finish(id, 'COMPLETED')
      await withTransaction(pool, async (twin) => {
        const received = bus.on(twin).receive(id)
        await twin.waitsFor(finisher)
        await finisher.query('commit')
        t.equal((await received).rowCount, 0)
      })
    })
  })
})
