import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus, sqlstateOf } from '../bus.ts'

interface Move {
  readonly name: 'complete' | 'cancel' | 'retry'
  /** The status that the operator's client sets before the call. */
  readonly status: string
  /** A final status that another session may have set meanwhile. */
  readonly final: string
  /** Whether the move completes a batch of one command, and what the batch then says. */
  readonly completes: boolean
  readonly counts: object
}

const moves: readonly Move[] = [
  {
    name: 'complete',
    status: 'COMPLETED',
    final: 'CANCELED',
    completes: true,
    counts: { status: 'COMPLETED', completed: 1, canceled: 0, failed: 0, troubled: 0 },
  },
  {
    name: 'cancel',
    status: 'CANCELED',
    final: 'FAILED',
    completes: true,
    counts: {
      status: 'COMPLETED_WITH_FAILURES',
      completed: 0,
      canceled: 1,
      failed: 0,
      troubled: 0,
    },
  },
  {
    name: 'retry',
    status: 'PENDING',
    final: 'COMPLETED',
    completes: false,
    counts: { status: 'IN_PROGRESS', completed: 0, canceled: 0, failed: 0, troubled: 0 },
  },
]

for (const { name, status, final, completes, counts } of moves) {
  test(`sp_tsq_${name}`, async (t) => {
    const { pool, rolledBack } = await openProcedureDatabase(t)

    t.test(
      `counts the command that the operator has set to ${status}, once`,
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const { batchId, id } = await bus.troubledBatch(1)

        await bus.set(id, status)

        t.equal(await bus.settle(batchId, name), completes)
        t.equal(await bus.settle(batchId, name), false)
        t.strictSame(await bus.counts(batchId), counts)
      }),
    )

    t.test(
      'is false for a null batch and for one with nothing to count',
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 1 })
        await bus.command({ batchId })

        t.equal(await bus.settle(null, name), false)
        t.equal(await bus.settle(batchId, name), false)
        t.match(await bus.counts(batchId), { status: 'PENDING' })
      }),
    )

    t.test(
      'leaves a batch of processes and its commands alone',
      rolledBack(async (t, db) => {
        const bus = createBus(db)
        const batchId = await bus.batch({ total: 1, type: 'PROCESS' })
        const id = await bus.command({ batchId, status: 'IN_TROUBLESHOOTING_QUEUE' })
        await bus.set(id, status)
        const before = await bus.counts(batchId)

        t.equal(await bus.settle(batchId, name), false)
        t.strictSame(await bus.counts(batchId), before)
        t.equal(await bus.mark(id), null)
      }),
    )

    t.test(`the operator cannot set a command that is ${final}`, async (t) => {
      const bus = createBus(pool)
      const { batchId, id } = await bus.troubledBatch(2)
      await bus.finish(id, final)
      const before = await bus.counts(batchId)

      await withTransaction(pool, async (late) => {
        t.equal(await sqlstateOf(bus.on(late).set(id, status)), '55000')
      })

      t.equal(await bus.settle(batchId, name), false)
      t.strictSame(await bus.counts(batchId), before)
    })
  })
}
