import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isBatchFree, isCounterFree } from '../bus.ts'

async function flush(db: Queryable, domain: string | null, batchId: string | null) {
  const { rows } = await db.query<{ id: string | null; completed: number | null }>(
    `select flushed.batch_id as id, flushed.completed_count as completed
       from commandbus.flush_counter_rows($1, $2) as flushed`,
    [domain, batchId],
  )
  return rows[0]
}

/** A batch of 100 that has counted 10, with counter rows of these unreported counts. */
async function batchWith(db: Queryable, unreported: readonly number[]) {
  const bus = createBus(db)
  const batchId = await bus.batch({ total: 100, status: 'IN_PROGRESS' })
  await db.query('update commandbus.batch set completed_count = 10 where batch_id = $1', [batchId])
  await db.query(
    `insert into commandbus.batch_counter (domain, batch_id, counter_no, quota, completed, unreported)
     select $1, $2, n - 1, 10, 9, count
       from unnest($3::int[]) with ordinality as given (count, n)
      order by n desc`,
    [bus.domain, batchId, unreported],
  )
  return { bus, batchId }
}

async function unreportedOf(db: Queryable, batchId: string): Promise<number[]> {
  const { rows } = await db.query<{ unreported: number }>(
    'select unreported from commandbus.batch_counter where batch_id = $1 order by counter_no',
    [batchId],
  )
  return rows.map(({ unreported }) => unreported)
}

test('flush_counter_rows', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test(
    'moves what the counter rows have not reported to the batch, once',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await batchWith(db, [3, 0, 4])
      const other = await batchWith(db, [5])

      t.strictSame(await flush(db, bus.domain, batchId), { id: batchId, completed: 17 })
      t.strictSame(await flush(db, bus.domain, batchId), { id: batchId, completed: 17 })

      t.strictSame(await unreportedOf(db, batchId), [0, 0, 0])
      t.strictSame(await unreportedOf(db, other.batchId), [5], 'another batch is left alone')
      t.match(await bus.counts(batchId), { status: 'IN_PROGRESS', completed: 17 })
    }),
  )

  t.test(
    'writes nothing where nothing is unreported, or without counter rows',
    rolledBack(async (t, db) => {
      for (const unreported of [[0, 0], []]) {
        const { bus, batchId } = await batchWith(db, unreported)
        const version = async () => {
          const { rows } = await db.query(
            'select ctid::text from commandbus.batch where batch_id = $1',
            [batchId],
          )
          return rows
        }
        const before = await version()

        t.strictSame(await flush(db, bus.domain, batchId), { id: batchId, completed: 10 })
        t.strictSame(await version(), before)
      }
    }),
  )

  t.test(
    'is null for an unknown batch, for one of another domain, and for nulls',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await batchWith(db, [3])
      const none = { id: null, completed: null }

      t.strictSame(await flush(db, bus.domain, randomUUID()), none)
      t.strictSame(await flush(db, 'another', batchId), none)
      t.strictSame(await flush(db, null, null), none)
      t.strictSame(await unreportedOf(db, batchId), [3])
    }),
  )

  t.test(
    'leaves a counter row as it is that has nothing to report',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await batchWith(db, [3, 0])
      const version = async () => {
        const { rows } = await db.query(
          'select ctid::text from commandbus.batch_counter where batch_id = $1 and counter_no = 1',
          [batchId],
        )
        return rows
      }
      const before = await version()

      await flush(db, bus.domain, batchId)

      t.strictSame(await version(), before)
    }),
  )

  t.test('locks the counter rows by their number, however they are found', async (t) => {
    const { bus, batchId } = await batchWith(pool, [1, 1])

    await withTransaction(pool, async (worker) => {
      await withTransaction(pool, async (reader) => {
        await reader.query('set local enable_indexscan = off; set local enable_bitmapscan = off')
        await worker.query(
          'select from commandbus.batch_counter where batch_id = $1 and counter_no = 0 for update',
          [batchId],
        )
        const flushed = flush(reader, bus.domain, batchId)
        await reader.waitsFor(worker)
        t.equal(await isCounterFree(pool, batchId, 1), true)
        await worker.query('commit')
        await flushed
      })
    })
  })

  t.test('waits for a counter row without locking the batch, and adds what it got', async (t) => {
    const { bus, batchId } = await batchWith(pool, [3, 0])

    await withTransaction(pool, async (worker) => {
      await withTransaction(pool, async (reader) => {
        await worker.query(
          'update commandbus.batch_counter set unreported = 2 where batch_id = $1 and counter_no = 1',
          [batchId],
        )
        const flushed = flush(reader, bus.domain, batchId)
        await reader.waitsFor(worker)
        t.equal(await isBatchFree(pool, batchId), true)
        await worker.query('commit')
        t.strictSame(await flushed, { id: batchId, completed: 15 })
      })
    })
  })
})
