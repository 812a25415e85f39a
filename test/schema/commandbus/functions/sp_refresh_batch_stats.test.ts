import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isBatchFree } from '../bus.ts'
import { scansOf } from '../plans.ts'

test('sp_refresh_batch_stats of a batch of commands', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'returns one row with the batch’s counts, in the order that clients read',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 5 })
      const ids = (await bus.commands(4, { batchId })) as [string, string, string, string]
      await bus.finish(ids[0], 'COMPLETED')
      await bus.finish(ids[1], 'FAILED')
      await bus.finish(ids[2], 'CANCELED')
      await bus.finish(ids[3], 'IN_TROUBLESHOOTING_QUEUE')

      t.strictSame(Object.entries((await bus.refresh(batchId)) ?? {}), [
        ['completed_count', '1'],
        ['failed_count', '1'],
        ['canceled_count', '1'],
        ['in_troubleshooting_count', '1'],
        ['is_complete', false],
      ])
    }),
  )

  t.test(
    'returns no row for a null or unknown batch',
    rolledBack(async (t, db) => {
      const bus = createBus(db)

      t.equal(await bus.refresh(null), undefined)
      t.equal(await bus.refresh(randomUUID()), undefined)
    }),
  )

  for (const [status, is_complete] of [
    ['COMPLETED', true],
    ['FAILED', true],
    ['IN_TROUBLESHOOTING_QUEUE', false],
  ] as const) {
    t.test(
      `after a last finish as ${status}, is_complete is ${is_complete}`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 1 })
        await bus.finish(await bus.command({ batchId }), status)
        const events = await bus.events(batchId)

        t.match(await bus.refresh(batchId), { is_complete })
        t.strictSame(await bus.events(batchId), events, 'it is not reported or audited again')
      }),
    )
  }

  t.test(
    'a batch of 0 is not complete',
    rolledBack(async (t, db) => {
      const bus = createBus(db)

      t.match(await bus.refresh(await bus.batch({ total: 0 })), { is_complete: false })
    }),
  )

  t.test(
    'does not count the commands again',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2 })
      const [id] = await bus.commands(2, { batchId })
      await bus.set(id as string, 'CANCELED')

      t.match(await bus.refresh(batchId), { canceled_count: '0' })
      t.match(await bus.counts(batchId), { status: 'PENDING', canceled: 0 })
    }),
  )

  t.test(
    'a large batch’s row is exact afterwards, and counting goes on',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const batchId = await bus.batch({ total: 2_000 })
      const ids = await bus.commands(2_000, { batchId })
      const finish = async (some: readonly string[]) => {
        const { rows } = await db.query<{ completed: boolean }>(
          `select commandbus.sp_finish_command($1, id, 'COMPLETED', 'COMPLETED') as completed
           from unnest($2::uuid[]) as id`,
          [bus.domain, some],
        )
        return rows.filter((row) => row.completed).length
      }

      for (const place of [30, 60, 1_999]) {
        await finish(ids.slice(0, place))
        t.match(await bus.refresh(batchId), { completed_count: String(place), is_complete: false })
        t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: place })
        t.strictSame(await bus.exactCounts(batchId), await bus.counts(batchId))
      }
      t.equal(await finish(ids.slice(1_999)), 1, 'the last finish completes the batch, no refresh')
      t.match(await bus.refresh(batchId), { completed_count: '2000', is_complete: true })
    }),
  )

  t.test('waits for a counter row without locking the batch', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1_001 })
    const [id] = await bus.commands(1_001, { batchId })
    await bus.startBatch(batchId)

    await withTransaction(pool, async (worker) => {
      await withTransaction(pool, async (reader) => {
        await bus.on(worker).finish(id as string, 'COMPLETED')
        const refreshed = bus.on(reader).refresh(batchId)
        await reader.waitsFor(worker)
        t.equal(await isBatchFree(pool, batchId), true)
        await worker.query('commit')
        t.match(await refreshed, { completed_count: '1' })
        await reader.query('commit')
      })
    })
  })

  t.test('of 20,000 commands, reads none of them', async (t) => {
    const bus = createBus(pool)
    const [batchId] = await Promise.all([bus.batch({ total: 20_000 }), bus.batch({ total: 1 })])
    const ids = await bus.commands(20_000, { batchId })
    await bus.commands(2_000)
    for (const id of ids.slice(0, 20)) await bus.finish(id, 'COMPLETED')
    await pool.query(
      'vacuum analyze commandbus.command, commandbus.batch, commandbus.batch_counter',
    )

    await withTransaction(pool, async (session) => {
      // From the sixth call on, PostgreSQL keeps one plan for any batch.
      for (let call = 0; call < 7; call++) await bus.on(session).refresh(randomUUID())

      const scans = await scansOf(session.client, () => bus.on(session).refresh(batchId))

      t.strictSame(
        scans.filter((scan) => scan.relation === 'command'),
        [],
      )
      const counters = scans.filter((scan) => scan.relation === 'batch_counter')
      t.ok(counters.length > 0, 'the plans were seen')
      for (const scan of counters) t.match(scan, { index: 'batch_counter_pkey', rows: 16 })
    })
  })
})

test('sp_refresh_batch_stats of a batch of processes', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  /** A PROCESS batch whose processes have these statuses. */
  async function processBatch(db: Queryable, statuses: readonly string[], total = statuses.length) {
    const bus = createBus(db)
    const batchId = await bus.batch({ total, type: 'PROCESS' })
    const ids: string[] = []
    for (const status of statuses) ids.push(await bus.process({ batchId, status }))
    return { bus, batchId, ids }
  }
  const times = async (db: Queryable, batchId: string) => {
    const { rows } = await db.query(
      `select started_at is not null as started, completed_at is not null as completed
         from commandbus.batch where batch_id = $1`,
      [batchId],
    )
    return rows[0]
  }

  t.test(
    'counts every status, and writes the counts to the batch',
    rolledBack(async (t, db) => {
      const statuses = [
        'PENDING',
        'WAITING',
        'COMPENSATING',
        'A_WORD_OF_ANOTHER_CLIENT',
        'COMPLETED',
        'COMPENSATED',
        'FAILED',
        'CANCELED',
      ]
      const { bus, batchId } = await processBatch(db, statuses)

      t.strictSame(await bus.refresh(batchId), {
        completed_count: '2',
        failed_count: '0',
        canceled_count: '2',
        in_troubleshooting_count: '0',
        is_complete: false,
      })
      t.strictSame(await bus.counts(batchId), {
        status: 'IN_PROGRESS',
        completed: 2,
        canceled: 2,
        failed: 0,
        troubled: 0,
      })
      t.strictSame(await times(db, batchId), { started: true, completed: false })
      t.strictSame(await bus.events(batchId), [], 'nothing is audited')
    }),
  )

  t.test(
    'is PENDING while all processes are',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await processBatch(db, ['PENDING', 'PENDING'])

      await bus.refresh(batchId)
      t.match(await bus.counts(batchId), { status: 'PENDING' })
      t.strictSame(await times(db, batchId), { started: false, completed: false })

      await bus.setProcess(ids[0] as string, 'WAITING')
      await bus.refresh(batchId)
      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })

      await bus.setProcess(ids[0] as string, 'PENDING')
      await bus.refresh(batchId)
      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' }, 'once started, it stays so')
    }),
  )

  t.test(
    'an unfinished process with a command in troubleshooting counts there',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await processBatch(db, ['WAITING', 'WAITING', 'COMPLETED'])
      for (const correlationId of [ids[0], ids[0], ids[2]] as string[]) {
        await bus.command({ correlationId, status: 'IN_TROUBLESHOOTING_QUEUE' })
      }
      await bus.command({ correlationId: ids[1] as string, status: 'IN_PROGRESS' })
      const elsewhere = createBus(db)
      const id = await elsewhere.command({
        correlationId: ids[1] as string,
        status: 'IN_TROUBLESHOOTING_QUEUE',
      })

      t.match(
        await bus.refresh(batchId),
        { completed_count: '1', in_troubleshooting_count: '2', is_complete: false },
        'whatever domain the command was sent to',
      )

      await elsewhere.set(id, 'PENDING')
      t.match(await bus.refresh(batchId), { in_troubleshooting_count: '1' })
    }),
  )

  for (const [end, status] of [
    ['COMPENSATED', 'COMPLETED'],
    ['FAILED', 'COMPLETED_WITH_FAILURES'],
  ] as const) {
    t.test(
      `completes as ${status} when the last process is ${end}`,
      rolledBack(async (t, db) => {
        const { bus, batchId, ids } = await processBatch(db, ['COMPLETED', 'WAITING'])
        await bus.refresh(batchId)
        await bus.setProcess(ids[1] as string, end)

        t.match(await bus.refresh(batchId), { is_complete: true })
        t.match(await bus.refresh(batchId), { is_complete: true })

        t.match(await bus.counts(batchId), { status })
        t.strictSame(await times(db, batchId), { started: true, completed: true })
        t.strictSame(await bus.events(batchId), [])
      }),
    )
  }

  t.test(
    'a complete batch runs again when a process moves again',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await processBatch(db, ['COMPLETED', 'CANCELED'])
      await bus.refresh(batchId)
      t.match(await bus.counts(batchId), { status: 'COMPLETED_WITH_FAILURES' })

      await bus.setProcess(ids[1] as string, 'COMPENSATING')
      t.match(await bus.refresh(batchId), { canceled_count: '0', is_complete: false })
      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })
      t.strictSame(await times(db, batchId), { started: true, completed: false })

      await bus.setProcess(ids[1] as string, 'COMPENSATED')
      await bus.refresh(batchId)
      t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: 2 })
    }),
  )

  t.test(
    'counts no more than total_count: completed, then canceled, then troubled',
    rolledBack(async (t, db) => {
      for (const [total, completed, canceled, troubled] of [
        [1, 1, 0, 0],
        [3, 2, 1, 0],
        [4, 2, 2, 0],
        [5, 2, 2, 1],
      ] as const) {
        const { bus, batchId, ids } = await processBatch(
          db,
          ['WAITING', 'CANCELED', 'FAILED', 'COMPLETED', 'COMPENSATED'],
          total,
        )
        await bus.command({
          correlationId: ids[0] as string,
          status: 'IN_TROUBLESHOOTING_QUEUE',
        })
        await bus.refresh(batchId)
        t.match(await bus.counts(batchId), { completed, canceled, troubled })
      }
    }),
  )

  t.test(
    'a complete batch keeps its counts when its processes are deleted',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await processBatch(db, ['COMPLETED', 'CANCELED'])
      await bus.refresh(batchId)
      const before = await bus.counts(batchId)
      await db.query('delete from commandbus.process where process_id = $1', [ids[0]])

      t.match(await bus.refresh(batchId), {
        completed_count: '1',
        canceled_count: '1',
        is_complete: true,
      })
      t.strictSame(await bus.counts(batchId), before)
    }),
  )

  t.test(
    'a batch of 0 is never complete',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await processBatch(db, ['COMPLETED'], 0)

      t.match(await bus.refresh(batchId), { completed_count: '0', is_complete: false })
      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS' })
    }),
  )

  t.test(
    'counts processes by domain and batch',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await processBatch(db, ['COMPLETED'], 2)
      await createBus(db).process({ batchId, status: 'COMPLETED' })
      await bus.process({ status: 'COMPLETED' })

      t.match(await bus.refresh(batchId), { completed_count: '1' })
    }),
  )

  t.test(
    'writes nothing if nothing has changed',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await processBatch(db, ['COMPLETED', 'WAITING'])
      const version = async () =>
        (await db.query('select ctid, xmin from commandbus.batch where batch_id = $1', [batchId]))
          .rows
      await bus.refresh(batchId)
      const before = await version()

      await bus.refresh(batchId)

      t.strictSame(await version(), before)
    }),
  )

  t.test('counts after it has the batch’s lock, so a newer count is not lost', async (t) => {
    const { bus, batchId, ids } = await processBatch(pool, ['WAITING', 'WAITING'])

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await bus.setProcess(ids[0] as string, 'COMPLETED')
        await bus.on(first).refresh(batchId)
        const refreshed = bus.on(second).refresh(batchId)
        await second.waitsFor(first)
        await bus.setProcess(ids[1] as string, 'COMPLETED')
        await first.query('commit')
        t.match(await refreshed, { completed_count: '2', is_complete: true })
        await second.query('commit')
      })
    })
  })

  t.test('reads its own processes, and commands in troubleshooting, by index', async (t) => {
    const { bus, batchId, ids } = await processBatch(
      pool,
      Array.from({ length: 100 }, (_, n) => (n < 60 ? 'COMPLETED' : 'WAITING')),
    )
    await pool.query(
      `with batch as materialized (
         select gen_random_uuid() as batch_id from generate_series(1, 150)
       )
       insert into commandbus.process (domain, process_id, process_type, status, batch_id)
       select $1, gen_random_uuid(), 'Ship', (array['PENDING', 'WAITING', 'COMPLETED'])[n % 3 + 1],
              batch_id
         from batch, generate_series(1, 100) as n`,
      [bus.domain],
    )
    await bus.commands(20_000, { status: 'COMPLETED' })
    await pool.query(
      `insert into commandbus.command (domain, queue_name, command_id, command_type, status,
                                       max_attempts, correlation_id)
       select $1, 'q', gen_random_uuid(), 'Pay', 'IN_TROUBLESHOOTING_QUEUE', 3, process_id
         from commandbus.process where domain = $1 and batch_id <> $2 limit 2000`,
      [bus.domain, batchId],
    )
    for (const correlationId of ids.slice(95)) {
      await bus.command({ correlationId, status: 'IN_TROUBLESHOOTING_QUEUE' })
    }
    await pool.query('vacuum analyze commandbus.command, commandbus.process, commandbus.batch')

    await withTransaction(pool, async (session) => {
      // From the sixth call on, PostgreSQL keeps one plan for any batch.
      for (let call = 0; call < 7; call++) await bus.on(session).refresh(batchId)

      const scans = await scansOf(session.client, () => bus.on(session).refresh(batchId))

      const of = (relation: string) => scans.filter((scan) => scan.relation === relation)
      t.equal(of('process').length, 1)
      t.match(of('process')[0], { index: /^process_batch_id/, rows: 100 })
      t.equal(of('command').length, 1)
      t.match(of('command')[0], { index: 'command_correlation_id_idx' })
      t.ok((of('command')[0]?.rows ?? 6) <= 5, 'the others in troubleshooting are not read')
    })
  })
})
