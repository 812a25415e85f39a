import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { type Session, withTransaction } from '../../../support/sessions.ts'
import { createBus, isBatchFree } from '../bus.ts'

test('start_batch_of_command', async (t) => {
  const { pool } = await openProcedureDatabase(t)

  async function pendingBatch() {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 2 })
    const id = await bus.command({ batchId })
    const start = (client: Session) =>
      client.query('select commandbus.start_batch_of_command($1, $2, $3)', [
        bus.domain,
        id,
        batchId,
      ])
    const isCommandFree = async () => {
      const { rowCount } = await pool.query(
        'select from commandbus.command where command_id = $1 for update skip locked',
        [id],
      )
      return rowCount === 1
    }
    return { bus, batchId, start, isCommandFree }
  }

  t.test('starts the batch under the command’s lock', async (t) => {
    const { bus, batchId, start, isCommandFree } = await pendingBatch()

    await withTransaction(pool, async (client) => {
      await start(client)
      t.equal(await isCommandFree(), false)
      t.match(await bus.on(client).counts(batchId), { status: 'IN_PROGRESS' })
    })
  })

  for (const end of ['commit', 'rollback']) {
    t.test(`waits without a lock for another start to ${end}, and leaves none`, async (t) => {
      const { bus, batchId, start, isCommandFree } = await pendingBatch()

      await withTransaction(pool, async (starter) => {
        await withTransaction(pool, async (client) => {
          await bus.on(starter).startBatch(batchId)
          const started = start(client)
          await client.waitsFor(starter)
          t.equal(await isCommandFree(), true)
          await starter.query(end)
          await started
          t.equal(await isCommandFree(), true)
          t.equal(await isBatchFree(pool, batchId), true)
        })
      })
    })
  }
})
