import { randomUUID } from 'node:crypto'
import t from 'tap'
import * as bus from '../../client/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

t.test('processes', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const domain = 'payments'

  t.test('a process goes from its first step to its end', async (t) => {
    const key = { domain, processId: randomUUID() }
    const sentAt = new Date('2026-11-26T10:00:00Z')
    const step = { ...key, stepName: 'reserve', commandId: randomUUID(), commandType: 'Reserve' }

    await bus.insertProcess(pool, { ...key, processType: 'ORDER', state: { lines: [1] } })
    t.match(await bus.getProcess(pool, key), {
      status: 'PENDING',
      currentStep: null,
      state: { lines: [1] },
      batchId: null,
    })
    await bus.insertProcessStep(pool, { ...step, commandData: { n: 1 }, sentAt })
    t.equal(
      await bus.updateProcess(pool, { ...key, status: 'WAITING', currentStep: 'reserve' }),
      true,
    )
    const reply = { ...key, commandId: step.commandId, outcome: 'SUCCESS', receivedAt: sentAt }
    t.equal(await bus.recordProcessReply(pool, { ...reply, data: { ok: true } }), true)
    await bus.updateProcess(pool, { ...key, status: 'COMPLETED', completedAt: sentAt })

    t.match(await bus.getProcess(pool, key), {
      status: 'COMPLETED',
      currentStep: 'reserve',
      state: { lines: [1] },
      completedAt: sentAt,
    })
    const { rows } = await pool.query(
      'select reply_outcome, reply_data from commandbus.process_audit where process_id = $1',
      [key.processId],
    )
    t.strictSame(rows, [{ reply_outcome: 'SUCCESS', reply_data: { ok: true } }])
  })

  t.test('an unknown process, and an unknown step, change nothing', async (t) => {
    const key = { domain, processId: randomUUID() }

    t.equal(await bus.getProcess(pool, key), null)
    t.equal(await bus.updateProcess(pool, { ...key, status: 'COMPLETED' }), false)
    const reply = { ...key, commandId: randomUUID(), outcome: 'SUCCESS', receivedAt: new Date() }
    t.equal(await bus.recordProcessReply(pool, reply), false)
  })

  t.test('a batch of processes is counted from them', async (t) => {
    const batch = { domain, batchId: randomUUID() }
    await bus.insertBatch(pool, { ...batch, totalCount: 2, batchType: 'PROCESS' })
    for (const status of ['COMPLETED', 'FAILED']) {
      await bus.insertProcess(pool, {
        domain,
        processId: randomUUID(),
        processType: 'ORDER',
        status,
        batchId: batch.batchId,
      })
    }

    t.strictSame(await bus.refreshBatchStats(pool, batch), {
      completedCount: 1,
      failedCount: 0,
      canceledCount: 1,
      inTroubleshootingCount: 0,
      isComplete: true,
    })
    t.match(await bus.getBatch(pool, batch), {
      batchType: 'PROCESS',
      status: 'COMPLETED_WITH_FAILURES',
      failedCount: 0,
    })
    t.equal(await bus.refreshBatchStats(pool, { domain, batchId: randomUUID() }), null)
  })
})
