import { randomUUID } from 'node:crypto'
import t from 'tap'
import * as bus from '../../client/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

t.test('the typed door', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const domain = 'payments'

  /** A batch of so many commands, nothing of it begun. */
  async function createBatch(totalCount: number) {
    const batchId = randomUUID()
    const commands = Array.from({ length: totalCount }, () => ({
      domain,
      commandId: randomUUID(),
      queueName: 'payments__commands',
      commandType: 'Refund',
      maxAttempts: 3,
      batchId,
    }))
    await bus.insertBatch(pool, { domain, batchId, totalCount, customData: ['any', 'json'] })
    await bus.insertCommands(pool, commands)
    return { batch: { domain, batchId }, commands }
  }

  t.test('takes a batch from its insert to its completion', async (t) => {
    const { batch, commands } = await createBatch(2)

    const answers: boolean[] = []
    for (const command of commands) {
      await bus.receiveCommand(pool, command)
      answers.push(
        await bus.finishCommand(pool, { ...command, status: 'COMPLETED', eventType: 'COMPLETED' }),
      )
    }

    t.same(answers, [false, true])
    const row = await bus.getBatch(pool, batch)
    t.match(row, { status: 'COMPLETED', totalCount: 2, completedCount: 2, canceledCount: 0 })
    t.same(row?.customData, ['any', 'json'])
    t.ok(row?.startedAt instanceof Date && row.completedAt instanceof Date)
    const events = await bus.listAuditEvents(pool, { domain, commandId: batch.batchId })
    t.same(
      events.map((event) => event.eventType),
      ['BATCH_STARTED', 'BATCH_COMPLETED'],
    )
  })

  t.test(
    'receives a command as its row now is, and none where nothing is left to do',
    async (t) => {
      const { commands } = await createBatch(1)
      const [command] = commands
      if (command === undefined) return

      const large = 9_007_199_254_740_993n
      const received = await bus.receiveCommand(pool, { ...command, msgId: large, maxAttempts: 7 })
      t.match(received, {
        commandId: command.commandId,
        status: 'IN_PROGRESS',
        attempts: 1,
        maxAttempts: 7,
        msgId: '9007199254740993',
        replyQueue: '',
        correlationId: null,
      })
      t.ok(received?.createdAt instanceof Date)

      await bus.finishCommand(pool, { ...command, status: 'COMPLETED', eventType: 'COMPLETED' })
      t.equal(await bus.receiveCommand(pool, command), null)
      t.equal(await bus.receiveCommand(pool, { domain, commandId: randomUUID() }), null)
    },
  )

  t.test('keeps a failure that will be retried, and what a finish says of it', async (t) => {
    const { commands } = await createBatch(1)
    const [command] = commands as [bus.NewCommand]
    const failure = { errorType: 'TRANSIENT', errorCode: 'TIMEOUT', errorMsg: 'The bank is slow.' }

    await bus.receiveCommand(pool, command)
    const attempt = { ...failure, attempt: 1, maxAttempts: 3, msgId: '12' }
    t.equal(await bus.failCommand(pool, { ...command, ...attempt }), true)
    await bus.finishCommand(pool, {
      ...command,
      status: 'IN_TROUBLESHOOTING_QUEUE',
      eventType: 'MOVED_TO_TSQ',
      errorCode: 'GAVE_UP',
      details: { reason: 'exhausted' },
    })

    t.match(await bus.getCommand(pool, command), {
      status: 'IN_TROUBLESHOOTING_QUEUE',
      lastErrorType: 'TRANSIENT',
      lastErrorCode: 'GAVE_UP',
    })
    const events = await bus.listAuditEvents(pool, command)
    t.match(events, [
      { eventType: 'RECEIVED' },
      { eventType: 'FAILED', details: { msg_id: 12, error_code: 'TIMEOUT' } },
      { eventType: 'MOVED_TO_TSQ', details: { reason: 'exhausted' } },
    ])
    t.equal(await bus.failCommand(pool, { ...command, ...attempt }), false)
  })

  t.test('leads an operator through retry, cancel and complete', async (t) => {
    const { batch, commands } = await createBatch(3)
    const moves = [
      { status: 'PENDING', settle: bus.tsqRetry },
      { status: 'CANCELED', settle: bus.tsqCancel },
      { status: 'COMPLETED', settle: bus.tsqComplete },
    ] as const
    for (const command of commands) {
      await bus.finishCommand(pool, {
        ...command,
        status: 'IN_TROUBLESHOOTING_QUEUE',
        eventType: 'MOVED_TO_TSQ',
      })
    }
    const waiting = { ...batch, status: 'IN_TROUBLESHOOTING_QUEUE' } as const
    t.equal((await bus.listCommands(pool, waiting)).length, 3)

    for (const [number, { status, settle }] of moves.entries()) {
      const command = commands[number] as bus.NewCommand
      t.equal(await bus.leaveTroubleshooting(pool, { ...command, status, msgId: 5 }), true)
      t.equal(await settle(pool, batch), false)
      t.equal(await bus.leaveTroubleshooting(pool, { ...command, status }), false)
    }

    t.match(await bus.getBatch(pool, batch), {
      status: 'IN_PROGRESS',
      completedCount: 1,
      canceledCount: 1,
      inTroubleshootingCount: 0,
    })
    const [retried] = await bus.listCommands(pool, { ...batch, status: 'PENDING' })
    t.match(retried, { attempts: 0, msgId: '5', lastErrorCode: null })
  })

  t.test('keeps the message id where an operator sends no message', async (t) => {
    const { commands } = await createBatch(1)
    const [command] = commands as [bus.NewCommand]
    await bus.receiveCommand(pool, command)
    await pool.query('update commandbus.command set msg_id = 12 where command_id = $1', [
      command.commandId,
    ])
    await bus.finishCommand(pool, {
      ...command,
      status: 'IN_TROUBLESHOOTING_QUEUE',
      eventType: 'MOVED_TO_TSQ',
    })

    t.equal(await bus.leaveTroubleshooting(pool, { ...command, status: 'CANCELED' }), true)
    t.match(await bus.getCommand(pool, command), { status: 'CANCELED', msgId: '12' })
  })

  t.test('lists commands of the same moment by id', async (t) => {
    const { batch, commands } = await createBatch(20)

    const listed = await bus.listCommands(pool, { domain, batchId: batch.batchId })
    t.same(
      listed.map(({ commandId }) => commandId),
      commands.map(({ commandId }) => commandId).sort(),
    )
  })

  t.test('lists audit events of the same moment in the order of writing', async (t) => {
    const commandId = randomUUID()
    // The later event is stored first: only the ids tell the order.
    await pool.query(
      `insert into commandbus.audit (audit_id, domain, command_id, event_type)
       overriding system value
       values (9000002, $1, $2, 'SECOND'), (9000001, $1, $2, 'FIRST')`,
      [domain, commandId],
    )

    const events = await bus.listAuditEvents(pool, { domain, commandId })
    t.same(
      events.map((event) => event.eventType),
      ['FIRST', 'SECOND'],
    )
  })

  t.test('starts a batch once and moves its counters by hand', async (t) => {
    const { batch } = await createBatch(1)

    t.equal(await bus.startBatch(pool, batch), true)
    t.equal(await bus.startBatch(pool, batch), false)
    t.equal(await bus.updateBatchCounters(pool, batch, 'tsq_move'), false)
    t.equal(await bus.updateBatchCounters(pool, batch, 'tsq_complete'), true)
    t.equal((await bus.getBatch(pool, { domain, batchId: randomUUID() })) ?? null, null)
  })

  t.test('appends what a client audits itself', async (t) => {
    const commandId = randomUUID()

    await bus.insertAuditEvents(pool, [
      { domain, commandId, eventType: 'SENT', details: { by: 'a test' } },
      { domain, commandId, eventType: 'MY_OWN' },
    ])

    t.match(await bus.listAuditEvents(pool, { domain, commandId }), [
      { eventType: 'SENT', details: { by: 'a test' } },
      { eventType: 'MY_OWN', details: null },
    ])
  })
})
