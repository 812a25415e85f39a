import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, isBatchFree } from '../bus.ts'

const wait = (db: Queryable, domain: string | null, batchId: string | null) =>
  db.query('select commandbus.wait_for_batch($1, $2)', [domain, batchId])

test('wait_for_batch', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  t.test('leaves no lock on a batch that is free', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    await withTransaction(pool, async (client) => {
      await wait(client, bus.domain, batchId)
      t.equal(await isBatchFree(pool, batchId), true)
    })
  })

  for (const end of ['commit', 'rollback']) {
    t.test(`waits for another session's ${end}, and leaves no lock`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 1 })

      await withTransaction(pool, async (holder) => {
        await withTransaction(pool, async (client) => {
          await bus.on(holder).startBatch(batchId)
          const waited = wait(client, bus.domain, batchId)
          await client.waitsFor(holder)
          await holder.query(end)
          await waited
          t.equal(await isBatchFree(pool, batchId), true)
        })
      })
    })
  }

  t.test('keeps a lock that its own transaction had, and what it wrote', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    await withTransaction(pool, async (client) => {
      await bus.on(client).startBatch(batchId)
      await wait(client, bus.domain, batchId)
      t.equal(await isBatchFree(pool, batchId), false)
      t.match(await bus.on(client).counts(batchId), { status: 'IN_PROGRESS' })
    })
  })

  t.test(
    'returns for an unknown batch and for nulls',
    rolledBack(async (t, db) => {
      t.equal((await wait(db, 'nowhere', randomUUID())).rowCount, 1)
      t.equal((await wait(db, null, null)).rowCount, 1)
    }),
  )
})
