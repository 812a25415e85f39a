import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { createBus, sqlstateOf } from '../bus.ts'

test('tg_command__keep_final_status', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'a final status cannot change',
    rolledBack(async (t, db) => {
      const bus = createBus(db)

      const finals = ['COMPLETED', 'CANCELED', 'FAILED']
      for (const final of finals) {
        const id = await bus.command({ status: final })
        for (const status of ['PENDING', ...finals.filter((other) => other !== final)]) {
          t.equal(await sqlstateOf(bus.set(id, status)), '55000')
        }
        t.equal(await bus.status(id), final)
      }
    }),
  )

  t.test(
    'an update that keeps the status passes',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command({ status: 'COMPLETED' })

      await bus.set(id, 'COMPLETED')
      await db.query('update commandbus.command set msg_id = null where command_id = $1', [id])

      t.equal(await bus.status(id), 'COMPLETED')
    }),
  )
})
