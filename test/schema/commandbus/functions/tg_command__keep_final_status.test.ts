import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createBus, sqlstateOf } from '../bus.ts'

test('tg_command__keep_final_status', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.test('a COMPLETED or CANCELED command keeps its status', async (t) => {
    const bus = createBus(pool)

    for (const final of ['COMPLETED', 'CANCELED']) {
      const id = await bus.command({ status: final })
      for (const status of ['PENDING', 'FAILED', final === 'CANCELED' ? 'COMPLETED' : 'CANCELED']) {
        t.equal(await sqlstateOf(bus.set(id, status)), '55000')
      }
      t.equal(await bus.status(id), final)
    }
  })

  t.test('what leaves the status as it is may be written', async (t) => {
    const bus = createBus(pool)
    const id = await bus.command({ status: 'COMPLETED' })

    await bus.set(id, 'COMPLETED')
    await pool.query('update commandbus.command set msg_id = null where command_id = $1', [id])

    t.equal(await bus.status(id), 'COMPLETED')
  })
})
