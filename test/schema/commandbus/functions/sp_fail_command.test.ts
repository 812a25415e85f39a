import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { createBus } from '../bus.ts'

test('sp_fail_command', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)
  const fail = async (
    db: Queryable,
    domain: string | null,
    id: string | null,
  ): Promise<boolean> => {
    const { rows } = await db.query(
      `select commandbus.sp_fail_command($1, $2, 'TRANSIENT', 'E1', 'no answer', 1, 3, 42) as failed`,
      [domain, id],
    )
    return rows[0].failed
  }

  t.test(
    'stores the error, leaves the status, and audits the attempt',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      const id = await bus.command()
      await bus.receive(id)

      t.equal(await fail(db, bus.domain, id), true)

      const { rows } = await db.query('select * from commandbus.command where command_id = $1', [
        id,
      ])
      t.match(rows, [
        {
          status: 'IN_PROGRESS',
          attempts: 1,
          last_error_type: 'TRANSIENT',
          last_error_code: 'E1',
          last_error_msg: 'no answer',
        },
      ])
      t.strictSame(await bus.details(id, 'FAILED'), {
        msg_id: 42,
        attempt: 1,
        max_attempts: 3,
        error_type: 'TRANSIENT',
        error_code: 'E1',
        error_msg: 'no answer',
      })
    }),
  )

  t.test(
    'is false and writes nothing if the command is final, in troubleshooting or unknown',
    rolledBack(async (t, db) => {
      const bus = createBus(db)
      for (const status of ['COMPLETED', 'CANCELED', 'FAILED', 'IN_TROUBLESHOOTING_QUEUE']) {
        const id = await bus.command({ status })
        t.equal(await fail(db, bus.domain, id), false)
        t.strictSame(await bus.events(id), [])
      }

      t.equal(await fail(db, bus.domain, randomUUID()), false)
      t.equal(await fail(db, null, null), false)
    }),
  )
})
