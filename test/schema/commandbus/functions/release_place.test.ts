import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isCounterFree } from '../bus.ts'

test('release_place', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  /** A batch with these counter rows: quota, completed, unreported. */
  async function batchWith(
    db: Queryable,
    counters: readonly (readonly [number, number, number])[],
  ) {
    const bus = createBus(db)
    const batchId = await bus.batch({ total: 10 })
    for (const [n, row] of counters.entries()) {
      await db.query('insert into commandbus.batch_counter values ($1, $2, $3, $4, $5, $6)', [
        bus.domain,
        batchId,
        n,
        ...row,
      ])
    }
    const release = async (counterNo: number, caller: Queryable = db): Promise<number | null> => {
      const { rows } = await caller.query(
        'select commandbus.release_place($1, $2, $3::smallint) as reported',
        [bus.domain, batchId, counterNo],
      )
      return rows[0].reported
    }
    const rows = async (): Promise<number[][]> => {
      const result = await db.query({
        text: `select quota, completed, unreported from commandbus.batch_counter
                where batch_id = $1 order by counter_no`,
        values: [batchId],
        rowMode: 'array',
      })
      return result.rows
    }
    return { batchId, release, rows }
  }

  t.test(
    'takes the place from the given counter row, which reports',
    rolledBack(async (t, db) => {
      const { release, rows } = await batchWith(db, [
        [5, 2, 1],
        [5, 3, 2],
      ])

      t.equal(await release(1), 2)
      t.strictSame(await rows(), [
        [5, 2, 1],
        [4, 3, 0],
      ])
    }),
  )

  t.test(
    'takes it from another row if that one is full',
    rolledBack(async (t, db) => {
      const { release, rows } = await batchWith(db, [
        [5, 2, 1],
        [5, 5, 0],
      ])

      t.equal(await release(1), 1)
      t.strictSame(await rows(), [
        [4, 2, 0],
        [5, 5, 0],
      ])
    }),
  )

  t.test('keeps no lock on a row that became full while it waited', async (t) => {
    const { batchId, release, rows } = await batchWith(pool, [
      [5, 2, 1],
      [5, 4, 2],
    ])

    await withTransaction(pool, async (other) => {
      await withTransaction(pool, async (client) => {
        await other.query(
          'update commandbus.batch_counter set completed = 5 where batch_id = $1 and counter_no = 1',
          [batchId],
        )
        const released = release(1, client)
        await client.waitsFor(other)
        await other.query('commit')
        t.equal(await released, 1)
        t.equal(await isCounterFree(pool, batchId, 1), true)
        await client.query('commit')
      })
    })

    t.strictSame(await rows(), [
      [4, 2, 0],
      [5, 5, 2],
    ])
  })

  t.test(
    'is null if every row is full',
    rolledBack(async (t, db) => {
      const { release, rows } = await batchWith(db, [
        [5, 5, 0],
        [0, 0, 0],
      ])

      t.equal(await release(0), null)
      t.strictSame(await rows(), [
        [5, 5, 0],
        [0, 0, 0],
      ])
    }),
  )
})
