import type { Pool } from 'pg'
import type { Test } from 'tap'

/** What must hold for taking messages, and for what is done with them afterwards. */
export function testReceiving(t: Test, pool: Pool): void {
  t.test('read takes the oldest visible messages and hides them', async (t) => {
    const queue = await fill(['1', '2', '3'])
    await pool.query(`select pgmq.send('${queue}', '4', 60)`)

    const { rows } = await pool.query(
      `select msg_id::int, read_ct, message, headers, last_read_at >= enqueued_at as read,
              round(extract(epoch from vt - last_read_at))::int as hidden
         from pgmq.read('${queue}', 30, 2)`,
    )
    t.strictSame(rows, [
      { msg_id: 1, read_ct: 1, message: 1, headers: null, read: true, hidden: 30 },
      { msg_id: 2, read_ct: 1, message: 2, headers: null, read: true, hidden: 30 },
    ])
    t.strictSame(await ids(`read('${queue}', 30, 10)`), [3])
    t.strictSame(await ids(`read('${queue}', 30, 10)`), [])
  })

  t.test(
    'a message becomes visible again after its timeout, and its read count grows',
    async (t) => {
      const queue = await fill(['1'])
      t.strictSame(await ids(`read('${queue}', 0, 1)`), [1])

      const { rows } = await pool.query(
        `select read_ct from pgmq.read(queue_name => '${queue}', vt => -5, qty => 1)`,
      )
      t.strictSame(rows, [{ read_ct: 2 }])
      t.strictSame(await ids(`read('${queue}', 0, 0)`), [])
      t.strictSame(await ids(`read('${queue}', 0, null)`), [1])
      await t.rejects(ids(`read('${queue}', 0, -1)`), { code: '2201W' })
    },
  )

  t.test('a condition reads only messages that contain it', async (t) => {
    const queue = await fill(['{"to": "a", "n": 1}', '{"to": "b"}', '"b"', '{"to": "b", "n": 2}'])

    t.strictSame(await ids(`read('${queue}', 9, 9, '{"to": "b"}')`), [2, 4])
    t.strictSame(await ids(`read_with_poll('${queue}', 9, 9, 1, 100, '{"n": 1}')`), [1])
    t.strictSame(await ids(`read('${queue}', 9, 9, '{}')`), [3])
  })

  t.test('two readers share a queue without waiting for each other', async (t) => {
    const queue = await fill(['1', '2', '3', '4', '5'])
    const first = await pool.connect()
    try {
      await first.query('begin')
      const taken = await first.query(`select msg_id::int from pgmq.read('${queue}', 30, 2)`)

      t.strictSame(taken.rows, [{ msg_id: 1 }, { msg_id: 2 }])
      t.strictSame(await ids(`read('${queue}', 30, 2)`), [3, 4])
      t.strictSame(await ids(`pop('${queue}', 9)`), [5])
      await first.query('rollback')
      t.strictSame(await ids(`read('${queue}', 30, 9)`), [1, 2])
    } finally {
      first.release()
    }
  })

  t.test('read_with_poll returns at once, when a message arrives, or after its time', async (t) => {
    const queue = await fill(['1'])
    t.strictSame(await ids(`read_with_poll('${queue}', 30, 1)`), [1])
    t.strictSame(await ids(`read_with_poll('${queue}', 30, 1, 1, 10)`), [])

    const waiting = ids(`read_with_poll('${queue}', 30, 1, 20, 10)`)
    await pool.query(`select pgmq.send('${queue}', '2')`)
    t.strictSame(await waiting, [2])
  })

  t.test('pop reads and deletes one message, or as many as asked for', async (t) => {
    const queue = await fill(['1', '2', '3', '4'])

    t.strictSame(await ids(`pop('${queue}')`), [1])
    t.strictSame(await ids(`pop('${queue}', 2)`), [2, 3])
    t.strictSame(await stored(`q_${queue}`), [4])
    t.strictSame(await stored(`a_${queue}`), [])
  })

  t.test('delete removes messages for good, and returns those that existed', async (t) => {
    const queue = await fill(['1', '2', '3', '4'])

    t.equal(await value(`delete('${queue}', 1)`), true)
    t.equal(await value(`delete('${queue}', 1)`), false)
    t.equal(await value(`delete('${queue}', null::bigint)`), false)
    t.strictSame(await ids(`delete('${queue}', array[2, 99, 3])`, 'delete'), [2, 3])
    t.strictSame(await ids(`delete('${queue}', null::bigint[])`, 'delete'), [])
    t.strictSame(await stored(`q_${queue}`), [4])
    t.strictSame(await stored(`a_${queue}`), [])
  })

  t.test('archive keeps the messages that it removes from the queue', async (t) => {
    const queue = await fill(['1', '2', '3', '4'])
    await pool.query(`select pgmq.read('${queue}', 30, 1)`)
    const before = await pool.query(`select * from pgmq.q_${queue} where msg_id = 1`)

    t.equal(await value(`archive('${queue}', 1)`), true)
    t.equal(await value(`archive('${queue}', 1)`), false)
    t.strictSame(await ids(`archive('${queue}', array[3, 99, 2])`, 'archive'), [2, 3])

    t.strictSame(await stored(`q_${queue}`), [4])
    t.strictSame(await stored(`a_${queue}`), [1, 2, 3])
    const after = await pool.query(
      `select msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers
         from pgmq.a_${queue} where msg_id = 1 and archived_at >= last_read_at`,
    )
    t.strictSame(after.rows, before.rows)
  })

  t.test('set_vt hides one message or many, for seconds or until a time', async (t) => {
    const queue = await fill(['1', '2', '3'])
    const inAMinute = "clock_timestamp() + interval '60 s'"

    t.strictSame(await hidden(`set_vt('${queue}', 1, 60)`), [[1, 60]])
    t.strictSame(await hidden(`set_vt('${queue}', 1, ${inAMinute})`), [[1, 60]])
    t.strictSame(await hidden(`set_vt('${queue}', array[2, 99, 3], 60)`), [
      [2, 60],
      [3, 60],
    ])
    t.strictSame(await hidden(`set_vt('${queue}', array[2, 3], ${inAMinute})`), [
      [2, 60],
      [3, 60],
    ])
    t.strictSame(await hidden(`set_vt('${queue}', 99, 60)`), [])
    t.strictSame(await ids(`read('${queue}', 30, 9)`), [])
    t.strictSame(await hidden(`set_vt('${queue}', 2, 0)`), [[2, 0]])
    t.strictSame(await ids(`read('${queue}', 30, 9)`), [2])
    await t.rejects(hidden(`set_vt('${queue}', 1, null::int)`), { code: '23502' })
  })

  let queues = 0

  /** A queue of its own for a test, with these messages, numbered from 1. */
  async function fill(messages: string[]): Promise<string> {
    const queue = `receiving_${++queues}`
    await pool.query(`select pgmq.create('${queue}')`)
    await pool.query(`select pgmq.send_batch('${queue}', $1)`, [messages])
    return queue
  }

  async function ids(call: string, column = 'msg_id'): Promise<number[]> {
    const { rows } = await pool.query({
      text: `select ${column}::int from pgmq.${call} order by 1`,
      rowMode: 'array',
    })
    return rows.map(([id]) => id)
  }

  async function value(call: string): Promise<unknown> {
    const { rows } = await pool.query({ text: `select pgmq.${call}`, rowMode: 'array' })
    return rows[0]?.[0]
  }

  async function stored(table: string): Promise<number[]> {
    const { rows } = await pool.query({
      text: `select msg_id::int from pgmq.${table} order by 1`,
      rowMode: 'array',
    })
    return rows.map(([id]) => id)
  }

  /** Ids and whole seconds for which the messages are hidden. */
  async function hidden(call: string): Promise<unknown[]> {
    const { rows } = await pool.query({
      text: `select msg_id::int, round(extract(epoch from vt - clock_timestamp()))::int
               from pgmq.${call} order by 1`,
      rowMode: 'array',
    })
    return rows
  }
}
