import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus, untilBlocked, withTransaction } from '../bus.ts'

const total = 2000

test('count_in_rows', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  /** A started batch of 2,000, its commands ordered by counter row. */
  async function largeBatch() {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total })
    await bus.commands(total, { batchId })
    await bus.startBatch(batchId)
    const { rows } = await pool.query<{ command_id: string; counter_no: number }>(
      `select command_id, commandbus.counter_no(command_id)
         from commandbus.command where batch_id = $1 order by counter_no`,
      [batchId],
    )
    const idsOf = (counterNo: number): string[] =>
      rows.filter((row) => row.counter_no === counterNo).map((row) => row.command_id)
    return { bus, batchId, ids: rows.map((row) => row.command_id), idsOf }
  }

  async function finishAll(domain: string, ids: readonly string[]): Promise<number[]> {
    const { rows } = await pool.query<{ n: number }>(
      `select n::int
         from unnest($2::uuid[]) with ordinality as given (id, n)
        where commandbus.sp_finish_command($1, id, 'COMPLETED', 'COMPLETED')`,
      [domain, ids],
    )
    return rows.map((row) => row.n)
  }

  t.test('the batch’s row lags by at most 5 %, the view batch_progress not at all', async (t) => {
    const { bus, batchId, idsOf } = await largeBatch()
    // The most that a counter row holds back: one below floor(2000 / 320).
    const some = Array.from({ length: 16 }, (_, n) => idsOf(n).slice(0, 5)).flat()

    await finishAll(bus.domain, some)

    t.match(await bus.counts(batchId), { completed: 0 })
    t.match(await bus.exactCounts(batchId), { completed: 80 })
    t.ok(80 <= total * 0.05)

    await finishAll(bus.domain, [idsOf(3)[5] as string])
    t.match(await bus.counts(batchId), { completed: 6 })
    t.match(await bus.exactCounts(batchId), { completed: 81 })
  })

  t.test('the last finish completes the batch, and the row is exact', async (t) => {
    const { bus, batchId, ids } = await largeBatch()

    t.strictSame(await finishAll(bus.domain, ids), [total])

    t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: total })
    t.strictSame(await bus.events(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
  })

  t.test(
    'the batch’s row counts troubleshooting, retries, cancellations and failures at once',
    async (t) => {
      const { bus, batchId, ids } = await largeBatch()
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

      t.strictSame(await finishAll(bus.domain, ids), [total])
      t.match(await bus.counts(batchId), {
        status: 'COMPLETED_WITH_FAILURES',
        completed: total - 3,
        canceled: 1,
        failed: 2,
      })
    },
  )

  t.test('commands beyond the total take the places of others, in any counter row', async (t) => {
    const { bus, batchId, ids } = await largeBatch()
    const extra = await bus.commands(40, { batchId })
    const order = [...extra, ...ids]

    t.strictSame(await finishAll(bus.domain, order), [total])

    t.match(await bus.counts(batchId), { status: 'COMPLETED', completed: total })
  })

  t.test('finishes in different counter rows do not wait for each other', async (t) => {
    const { bus, batchId, idsOf } = await largeBatch()
    const [one, same] = idsOf(1) as [string, string]
    const [other] = idsOf(2) as [string]

    await withTransaction(pool, async (open) => {
      await bus.on(open).finish(one, 'COMPLETED')
      t.equal(await bus.finish(other, 'COMPLETED'), false)

      await withTransaction(pool, async (waiting) => {
        const finished = bus.on(waiting).finish(same, 'COMPLETED')
        await untilBlocked(pool, waiting)
        await open.query('commit')
        await finished
        await waiting.query('commit')
      })
    })

    t.match(await bus.exactCounts(batchId), { completed: 3 })
  })
})
