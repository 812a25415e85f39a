import type { Pool } from 'pg'
import type { Test } from 'tap'

/** What must hold for a queue that announces its messages. */
export function testAnnouncing(t: Test, pool: Pool): void {
  t.test('a queue announces messages, no more often than its interval', async (t) => {
    await pool.query("select pgmq.create('loud')")
    await pool.query("select pgmq.enable_notify_insert('loud', 3600000)")

    t.equal(await heard(`select pgmq.send_batch('loud', array['1', '2']::jsonb[])`), 1)
    t.equal(await heard(`select pgmq.send('loud', '3')`), 0)
    await pool.query("select pgmq.update_notify_insert('loud', 0)")
    t.equal(await heard(`select pgmq.send('loud', '4')`), 1)
    t.equal(await heard(`select pgmq.send('loud', '5')`), 1)
    await pool.query("select pgmq.disable_notify_insert('loud')")
    t.equal(await heard(`select pgmq.send('loud', '6')`), 0)
  })

  t.test('lists the throttles', async (t) => {
    await pool.query("select pgmq.create('listed'), pgmq.create('quiet')")
    await pool.query("select pgmq.enable_notify_insert('listed')")

    const list = () =>
      pool.query(
        `select queue_name, throttle_interval_ms, extract(epoch from last_notified_at)::int as last
           from pgmq.list_notify_insert_throttles() where queue_name in ('listed', 'quiet')`,
      )
    t.strictSame((await list()).rows, [
      { queue_name: 'listed', throttle_interval_ms: 250, last: 0 },
    ])
    await pool.query("select pgmq.disable_notify_insert('listed')")
    t.strictSame((await list()).rows, [])
    await t.resolves(pool.query("select pgmq.disable_notify_insert('listed')"))
  })

  t.test('rejects a queue that cannot announce messages', async (t) => {
    await pool.query("select pgmq.create('silent')")
    for (const call of [
      `enable_notify_insert('silent', -1)`,
      `enable_notify_insert('nowhere')`,
      `update_notify_insert('silent', 1)`,
      `update_notify_insert('nowhere', 1)`,
      `update_notify_insert('silent', -1)`,
    ]) {
      await t.rejects(pool.query(`select pgmq.${call}`), { code: 'P0001' }, call)
    }
  })

  /** How many announcements of the queue `loud` a statement makes. */
  async function heard(statement: string): Promise<number> {
    const listener = await pool.connect()
    let notifications = 0
    listener.on('notification', () => {
      notifications++
    })
    try {
      await listener.query('listen "pgmq.q_loud.INSERT"')
      // The listener's own: its notifications have come by the time its next answer has.
      await listener.query(statement)
      await listener.query('unlisten *')
    } finally {
      listener.removeAllListeners('notification')
      listener.release()
    }
    return notifications
  }
}
