import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isCounterFree } from '../bus.ts'

const total = 2000

test('count_in_rows', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  /** A started batch of 2,000, its commands ordered by counter row. */
  async function largeBatch(db: Queryable) {
    const bus = createBus(db)
    const batchId = await bus.batch({ total })
    await bus.commands(total, { batchId })
    await bus.startBatch(batchId)
    const { rows } = await db.query<{ command_id: string; counter_no: number }>(
      `select command_id, commandbus.counter_no(command_id)
         from commandbus.command where batch_id = $1 order by counter_no`,
      [batchId],
    )
    const idsOf = (counterNo: number): string[] =>
      rows.filter((row) => row.counter_no === counterNo).map((row) => row.command_id)
    return { bus, batchId, ids: rows.map((row) => row.command_id), idsOf }
  }

  async function finishAll(
    db: Queryable,
    domain: string,
    ids: readonly string[],
  ): Promise<number[]> {
    const { rows } = await db.query<{ n: number }>(
      `select n::int
         from unnest($2::uuid[]) with ordinality as given (id, n)
        where commandbus.sp_finish_command($1, id, 'COMPLETED', 'COMPLETED')`,
      [domain, ids],
    )
    return rows.map((row) => row.n)
  }

  t.test(
    'the batch’s row lags by at most 5 %, the view batch_progress not at all',
    rolledBack(async (t, db) => {
      const { bus, batchId, idsOf } = await largeBatch(db)
      // The most that a counter row holds back: one below floor(2000 / 320).
      const some = Array.from({ length: 16 }, (_, n) => idsOf(n).slice(0, 5)).flat()

      await finishAll(db, bus.domain, some)

      t.match(await bus.counts(batchId), { completed: 0 })
      t.match(await bus.exactCounts(batchId), { completed: 80 })
      t.ok(80 <= total * 0.05)

      await finishAll(db, bus.domain, [idsOf(3)[5] as string])
      t.match(await bus.counts(batchId), { completed: 6 })
      t.match(await bus.exactCounts(batchId), { completed: 81 })
    }),
  )

  t.test(
    'the last finish completes the batch, and the row is exact',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await largeBatch(db)

      t.strictSame(await finishAll(db, bus.domain, ids), [total])

      t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: total })
      t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
    }),
  )

  t.test(
    'the batch’s row counts troubleshooting, retries, cancellations and failures at once',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await largeBatch(db)
      const [one, two, three, four, five] = ids as [string, string, string, string, string]

      await bus.finish(one, 'IN_TROUBLESHOOTING_QUEUE')
      await bus.finish(two, 'IN_TROUBLESHOOTING_QUEUE')
      await bus.finish(three, 'CANCELED')
      await bus.finish(four, 'FAILED')
      t.match(await bus.counts(batchId), { completed: 0, canceled: 1, failed: 1, troubled: 2 })

      await bus.finish(five, 'IN_TROUBLESHOOTING_QUEUE')
      await bus.finish(five, 'FAILED')
      t.match(await bus.counts(batchId), { completed: 0, canceled: 1, failed: 2, troubled: 2 })

      await bus.set(one, 'PENDING')
      await bus.settle(batchId, 'retry')
      t.match(await bus.counts(batchId), { completed: 0, canceled: 1, failed: 2, troubled: 1 })

      await bus.set(two, 'COMPLETED')
      await bus.settle(batchId, 'complete')
      t.match(await bus.counts(batchId), { completed: 1, canceled: 1, troubled: 0 })

      t.strictSame(await finishAll(db, bus.domain, ids), [total])
      t.match(await bus.counts(batchId), {
        status: 'COMPLETED_WITH_FAILURES',
        completed: total - 3,
        canceled: 1,
        failed: 2,
      })
    }),
  )

  t.test(
    'commands beyond the total take the places of others, in any counter row',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await largeBatch(db)
      const extra = await bus.commands(40, { batchId })
      const order = [...extra, ...ids]

      t.strictSame(await finishAll(db, bus.domain, order), [total])

      t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: total })
    }),
  )

  t.test('keeps no lock on a counter row that became full while it waited', async (t) => {
    const { bus, batchId, idsOf } = await largeBatch(pool)
    // Another command of this row, beyond the total: it has no place of its own.
    const { rows } = await pool.query<{ id: string }>(
      `select id from (select gen_random_uuid() as id from generate_series(1, 1000)) as drawn
        where commandbus.counter_no(id) = 7 limit 1`,
    )
    const extra = rows[0]?.id as string
    await pool.query(
      `insert into commandbus.command
         (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
       values ($1, 'q', $2, 'Pay', 'IN_PROGRESS', 3, $3)`,
      [bus.domain, extra, batchId],
    )
    const ids = idsOf(7)
    await finishAll(pool, bus.domain, ids.slice(1))

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await bus.on(first).finish(ids[0] as string, 'COMPLETED')
        const finished = bus.on(second).finish(extra, 'COMPLETED')
        await second.waitsFor(first)
        await first.query('commit')
        t.equal(await finished, false)
        t.equal(await isCounterFree(pool, batchId, 7), true)
        await second.query('commit')
      })
    })

    t.match(await bus.exactCounts(batchId), { completed: ids.length + 1 })
  })

  t.test('finishes in different counter rows do not wait for each other', async (t) => {
    const { bus, batchId, idsOf } = await largeBatch(pool)
    const [one, same] = idsOf(1) as [string, string]
    const [other] = idsOf(2) as [string]

    await withTransaction(pool, async (open) => {
      await bus.on(open).finish(one, 'COMPLETED')
      t.equal(await bus.finish(other, 'COMPLETED'), false)

      await withTransaction(pool, async (waiting) => {
        const finished = bus.on(waiting).finish(same, 'COMPLETED')
        await waiting.waitsFor(open)
        await open.query('commit')
        await finished
        await waiting.query('commit')
      })
    })

    t.match(await bus.exactCounts(batchId), { completed: 3 })
  })
})
