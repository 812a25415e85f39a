// The command bus's Python client, as released, on a database that the service provisioned.
import { test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { installPythonPackage } from '../support/python.ts'
import { startService } from '../support/service.ts'
import { createClientRole, findsMessagesByPosition, openClientSession } from './reliable-cmd.ts'

// The last release that needs nothing beyond this schema; docs/use/clients.md says what came after.
const library = await installPythonPackage('reliable-cmd', '0.1.9', { dependencies: true })
const missing = 'missing' in library && library.missing
if (missing) process.stderr.write(`\n*** the Python client is not tested: ${missing} ***\n\n`)

test('the Python client reliable-cmd', { skip: missing }, async (t) => {
  if ('missing' in library) return
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, { DATABASE_URL: url })
  await service.waitForReady()
  if (!(await findsMessagesByPosition(pool))) {
    process.stderr.write(
      '\n*** the Python client is not tested: it needs PGMQ 1.9 or older ***\n\n',
    )
    return
  }
  const client = openClientSession(library.dir, await createClientRole(t, url, pool))
  t.teardown(() => client.close())
  await client.call('work', 'payments', 3600)
  await client.call('work', 'test', 0.05)

  t.test('a worker is woken by a command, completes it and replies', async (t) => {
    const id = await client.call('send', 'payments', 'Succeed', { n: 1 }, 'payments__replies')

    await becomes(t, () => statusOf(id), 'COMPLETED')
    t.strictSame(await eventsOf(id), ['SENT', 'RECEIVED', 'COMPLETED'])
    t.strictSame(await messages('pgmq.q_payments__commands'), [])
    t.match(await messages('pgmq.q_payments__replies'), [
      { command_id: id, outcome: 'SUCCESS', result: { echo: { n: 1 } } },
    ])
  })

  t.test('a command that fails once is tried again', async (t) => {
    const id = await client.call('send', 'test', 'FailOnce', {})

    await becomes(t, () => statusOf(id), 'COMPLETED')
    t.strictSame(await eventsOf(id), ['SENT', 'RECEIVED', 'FAILED', 'RECEIVED', 'COMPLETED'])
    const { rows } = await pool.query(
      'select attempts, last_error_code from commandbus.command where command_id = $1',
      [id],
    )
    t.strictSame(rows, [{ attempts: 2, last_error_code: 'BUSY' }])
  })

  t.test(
    'a command that keeps failing ends in troubleshooting, its message archived',
    async (t) => {
      const id = await client.call('send', 'test', 'FailAlways', { n: 2 })

      await becomes(t, () => statusOf(id), 'IN_TROUBLESHOOTING_QUEUE')
      t.strictSame(await eventsOf(id), ['SENT', 'RECEIVED', 'FAILED', 'RECEIVED', 'MOVED_TO_TSQ'])
      t.strictSame(await messages('pgmq.q_test__commands'), [])
      t.match(await messages('pgmq.a_test__commands'), [{ command_id: id }])
      t.strictSame(await client.call('list_troubleshooting', 'test'), [[id, 'BUSY', { n: 2 }]])
    },
  )

  t.test('an operator retries, cancels and completes', async (t) => {
    const [retried, canceled, completed] = await Promise.all(
      [1, 2, 3].map((n) => client.call('send', 'test', 'FailUntilRetried', { n }, 'test__replies')),
    )
    for (const id of [retried, canceled, completed]) {
      await becomes(t, () => statusOf(id), 'IN_TROUBLESHOOTING_QUEUE')
    }

    await client.call('operator_retry', 'test', retried)
    await client.call('operator_cancel', 'test', canceled)
    await client.call('operator_complete', 'test', completed)

    await becomes(t, () => statusOf(retried), 'COMPLETED')
    t.equal(await statusOf(canceled), 'CANCELED')
    t.equal(await statusOf(completed), 'COMPLETED')
    const failed = ['SENT', 'RECEIVED', 'MOVED_TO_TSQ']
    t.strictSame(await eventsOf(retried), [...failed, 'OPERATOR_RETRY', 'RECEIVED', 'COMPLETED'])
    t.strictSame(await eventsOf(canceled), [...failed, 'OPERATOR_CANCEL'])
    t.strictSame(await eventsOf(completed), [...failed, 'OPERATOR_COMPLETE'])
    const replies = await messages('pgmq.q_test__replies')
    t.strictSame(replies.map((reply) => reply.outcome).sort(), ['CANCELED', 'SUCCESS', 'SUCCESS'])
  })

  t.test('a batch runs to its end, and its callback is called', async (t) => {
    const { batchId } = await sendBatch(['Succeed', 'FailOnce', 'Succeed'])

    await becomes(t, completedBatches, [[batchId, 'COMPLETED']])
    t.strictSame(await batch(batchId), {
      status: 'COMPLETED',
      total_count: 3,
      completed_count: 3,
      canceled_count: 0,
      in_troubleshooting_count: 0,
      timed: true,
    })
    t.strictSame(await eventsOf(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
  })

  t.test('a batch waits for its operator, whose last move calls the callback', async (t) => {
    const { batchId, commandIds } = await sendBatch([
      'Succeed',
      'FailUntilRetried',
      'FailUntilRetried',
      'FailAlways',
    ])
    const troubles = async () => (await batch(batchId))?.in_troubleshooting_count
    await becomes(t, troubles, 3)
    await becomes(t, async () => (await batch(batchId))?.completed_count, 1)

    await client.call('operator_retry', 'test', commandIds[1])
    await becomes(t, troubles, 2)
    await becomes(t, () => statusOf(commandIds[1]), 'COMPLETED')
    await client.call('operator_complete', 'test', commandIds[2])
    t.equal((await completedBatches()).length, 1)
    await client.call('operator_cancel', 'test', commandIds[3])

    t.strictSame((await completedBatches()).at(-1), [batchId, 'COMPLETED_WITH_FAILURES'])
    t.strictSame(await batch(batchId), {
      status: 'COMPLETED_WITH_FAILURES',
      total_count: 4,
      completed_count: 3,
      canceled_count: 1,
      in_troubleshooting_count: 0,
      timed: true,
    })
    t.strictSame(await eventsOf(batchId), ['BATCH_STARTED', 'BATCH_COMPLETED'])
  })

  function sendBatch(kinds: string[]) {
    return client.call<{ batchId: string; commandIds: string[] }>('send_batch', 'test', kinds)
  }

  function completedBatches() {
    return client.call<string[][]>('list_completed_batches')
  }

  async function statusOf(id: unknown): Promise<unknown> {
    const { rows } = await pool.query(
      'select status from commandbus.command where command_id = $1',
      [id],
    )
    return rows[0]?.status
  }

  async function eventsOf(id: unknown): Promise<unknown[]> {
    const { rows } = await pool.query(
      'select event_type from commandbus.audit where command_id = $1 order by audit_id',
      [id],
    )
    return rows.map((row) => row.event_type)
  }

  async function messages(table: string): Promise<{ outcome?: string }[]> {
    const { rows } = await pool.query(`select message from ${table} order by msg_id`)
    return rows.map((row) => row.message)
  }

  async function batch(id: string) {
    const { rows } = await pool.query(
      `select status, total_count, completed_count, canceled_count, in_troubleshooting_count,
              started_at <= completed_at as timed
         from commandbus.batch where batch_id = $1`,
      [id],
    )
    return rows[0]
  }
})
