import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import * as bus from '../../client/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

t.test('errors have names', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const batch = { domain: 'payments', batchId: randomUUID(), totalCount: 2 }
  const command: bus.NewCommand = {
    domain: 'payments',
    commandId: randomUUID(),
    queueName: 'payments__commands',
    commandType: 'Refund',
    maxAttempts: 3,
    batchId: batch.batchId,
  }
  const completed = { ...command, status: 'COMPLETED', eventType: 'COMPLETED' } as const
  await bus.insertBatch(pool, batch)
  await bus.insertCommands(pool, [command])

  async function fails(t: Test, name: string, code: string, work: Promise<unknown>) {
    const error = await work.then(
      () => undefined,
      (error: unknown) => error,
    )
    t.ok(error instanceof bus.CommandBusError)
    t.match(error, { name, code, cause: { code } })
  }

  t.test('what is sent twice, or without its batch', async (t) => {
    await fails(t, 'DuplicateBatchError', '23505', bus.insertBatch(pool, batch))
    await fails(t, 'DuplicateCommandError', '23505', bus.insertCommands(pool, [command]))
    const lost = { ...command, commandId: randomUUID(), batchId: randomUUID() }
    await fails(t, 'BatchNotFoundError', '23503', bus.insertCommands(pool, [lost]))
  })

  t.test('values that the schema does not know', async (t) => {
    const wrong = { ...completed, status: 'DONE' as 'COMPLETED' }
    await fails(t, 'InvalidValueError', '22023', bus.finishCommand(pool, wrong))
    const noId = { domain: 'payments', commandId: 'seven' }
    await fails(t, 'InvalidValueError', '22P02', bus.receiveCommand(pool, noId))
  })

  t.test('a queue that is not there', async (t) => {
    await fails(t, 'QueueNotFoundError', '42P01', bus.read(pool, 'nowhere', 30))

    const { pool: empty } = await createTestDatabase(t, { from: 'empty' })
    await t.rejects(bus.getCommand(empty, command), { code: '42P01', name: 'error' })
  })

  t.test('a deadlock victim may try again', async (t) => {
    const sessions = [await pool.connect(), await pool.connect()] as const
    try {
      for (const [index, session] of sessions.entries()) {
        await session.query('begin')
        await session.query('select pg_advisory_xact_lock($1)', [index])
      }
      const crossed = sessions.map((session, index) =>
        bus.getCommand(
          {
            query: () => session.query('select pg_advisory_xact_lock($1)', [1 - index]),
          },
          command,
        ),
      )
      const victim = (await Promise.allSettled(crossed)).find(({ status }) => status === 'rejected')
      const error = (victim as PromiseRejectedResult | undefined)?.reason
      t.match(error, { name: 'RetryableError', code: '40P01' })
      t.ok(bus.isRetryable(error))
    } finally {
      for (const session of sessions) {
        await session.query('rollback')
        session.release()
      }
    }
  })

  t.test('a late operator, and a transaction that another was before', async (t) => {
    const first = await pool.connect()
    const second = await pool.connect()
    try {
      await first.query('begin isolation level repeatable read')
      await bus.getCommand(first, command)
      await bus.finishCommand(second, completed)
      const error = await bus.finishCommand(first, completed).catch((error: unknown) => error)
      t.ok(error instanceof bus.RetryableError)
      t.ok(bus.isRetryable(error))
      await first.query('rollback')
    } finally {
      first.release()
      second.release()
    }
    t.notOk(bus.isRetryable(new Error('another')))

    const late = {
      query: ({ text, values }: { text: string; values: unknown[] }) =>
        pool.query(text.replace(`and status = 'IN_TROUBLESHOOTING_QUEUE'`, ''), values),
    }
    await fails(
      t,
      'CommandIsFinalError',
      '55000',
      bus.leaveTroubleshooting(late, { ...command, status: 'CANCELED' }),
    )
  })
})
