import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { type Bus, createBus, isBatchFree } from '../bus.ts'

test('lock_pending_batch', async (t) => {
  const { pool } = await openProcedureDatabase(t)
  const lock = async (db: Pick<typeof pool, 'query'>, bus: Bus, batchId: string, wait: boolean) => {
    const { rows } = await db.query(
      'select (commandbus.lock_pending_batch($1, $2, $3)).batch_id as id',
      [bus.domain, batchId, wait],
    )
    return rows[0].id
  }

  for (const wait of [true, false]) {
    t.test(`locks a pending batch and returns it (p_wait ${wait})`, async (t) => {
      const bus = createBus(pool)
      const batchId = await bus.batch({ total: 1 })

      await withTransaction(pool, async (client) => {
        t.equal(await lock(client, bus, batchId, wait), batchId)
        t.equal(await isBatchFree(pool, batchId), false)
      })
    })

    for (const [what, given] of [
      ['has started', { total: 1, status: 'IN_PROGRESS' }],
      ['consists of processes', { total: 1, type: 'PROCESS' }],
    ] as const) {
      t.test(`does not lock a batch that ${what} (p_wait ${wait})`, async (t) => {
        const bus = createBus(pool)
        const batchId = await bus.batch(given)

        await withTransaction(pool, async (client) => {
          t.equal(await lock(client, bus, batchId, wait), null)
          t.equal(await isBatchFree(pool, batchId), true)
        })
      })
    }
  }

  t.test('skips a batch that another session has locked, without p_wait', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    await withTransaction(pool, async (other) => {
      await lock(other, bus, batchId, true)
      await withTransaction(pool, async (client) => {
        t.equal(await lock(client, bus, batchId, false), null)
      })
    })
  })

  t.test('waits with p_wait, and keeps no lock if the batch was started meanwhile', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    await withTransaction(pool, async (starter) => {
      await withTransaction(pool, async (client) => {
        await bus.on(starter).startBatch(batchId)
        const locked = lock(client, bus, batchId, true)
        await client.waitsFor(starter)
        await starter.query('commit')
        t.equal(await locked, null)
        t.equal(await isBatchFree(pool, batchId), true)
      })
    })
  })
})
