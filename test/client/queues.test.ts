import { randomUUID } from 'node:crypto'
import pg from 'pg'
import t from 'tap'
import * as bus from '../../client/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

t.test('queues', async (t) => {
  const { pool, url } = await createTestDatabase(t, { from: 'migrated' })

  t.test('a message is sent, read, hidden, read again and archived', async (t) => {
    const queue = bus.commandQueue('orders')
    const message = { command_id: randomUUID(), amount: 12 }
    await bus.createQueue(pool, queue)

    const msgId = await bus.send(pool, queue, message)
    const [read] = await bus.read(pool, queue, 30)
    t.match(read, { msgId, readCount: 1, message })
    t.ok(read?.enqueuedAt instanceof Date && read.visibleAt instanceof Date)
    t.same(await bus.read(pool, queue, 30), [])

    t.equal(await bus.setVisibilityTimeout(pool, queue, msgId, 0), true)
    t.match(await bus.read(pool, queue, 30), [{ msgId, readCount: 2 }])

    t.equal(await bus.archiveMessage(pool, queue, msgId), true)
    t.equal(await bus.archiveMessage(pool, queue, msgId), false)
    t.equal(await bus.setVisibilityTimeout(pool, queue, msgId, 0), false)
    t.same(await bus.findArchivedMessage(pool, queue, message.command_id), message)
    t.equal(await bus.findArchivedMessage(pool, queue, randomUUID()), null)
  })

  t.test('of two archived messages of a command, the newest is found', async (t) => {
    const queue = bus.commandQueue('retries')
    const commandId = randomUUID()
    await bus.createQueue(pool, queue)
    for (const attempt of [1, 2]) {
      const msgId = await bus.send(pool, queue, { command_id: commandId, attempt })
      await bus.archiveMessage(pool, queue, msgId)
    }

    t.match(await bus.findArchivedMessage(pool, queue, commandId), { attempt: 2 })
  })

  t.test('many messages are sent at once, and deleted one by one', async (t) => {
    const queue = bus.replyQueue('orders')
    await bus.createQueue(pool, queue)

    t.same(await bus.sendBatch(pool, queue, []), [])
    const msgIds = await bus.sendBatch(pool, queue, [{ text: `"quoted", {braced}` }, { n: 2 }])
    const read = await bus.read(pool, queue, 30, 10)
    t.match(read, [
      { msgId: msgIds[0], message: { text: `"quoted", {braced}` } },
      { msgId: msgIds[1], message: { n: 2 } },
    ])

    t.equal(await bus.deleteMessage(pool, queue, msgIds[0] ?? ''), true)
    t.equal(await bus.deleteMessage(pool, queue, msgIds[0] ?? ''), false)
  })

  t.test('a queue whose workers listen can be woken', async (t) => {
    const listener = new pg.Client({ connectionString: url })
    await listener.connect()
    t.teardown(() => listener.end())
    const woken = new Promise((resolve) => listener.once('notification', resolve))
    // As the released clients do: without quotes, hence in lower case.
    await listener.query('listen pgmq_notify_Orders__commands')

    await bus.notify(pool, 'Orders__commands')

    t.match(await woken, { channel: 'pgmq_notify_orders__commands' })
  })
})
