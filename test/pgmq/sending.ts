import type { Pool } from 'pg'
import type { Test } from 'tap'

interface Sent {
  message: unknown
  headers: unknown
  /** Whole seconds until the message can be seen. */
  delay: number
}

/** What must hold for every form of send and send_batch. */
export function testSending(t: Test, pool: Pool): void {
  // The same moment whether the delay is given in seconds or as a time.
  const forms = [
    ['', 0],
    [', 40', 40],
    [", clock_timestamp() + interval '40 s'", 40],
    [', -40', -40],
  ] as const

  for (const [delay, seconds] of forms) {
    t.test(`send(…${delay}) is visible after ${seconds} s`, async (t) => {
      t.strictSame(await sent(`send('Q', '{"a": 1}'${delay})`), [
        { message: { a: 1 }, headers: null, delay: seconds },
      ])
      t.strictSame(await sent(`send('Q', '{"a": 1}', '{"h": 2}'::jsonb${delay})`), [
        { message: { a: 1 }, headers: { h: 2 }, delay: seconds },
      ])
    })

    t.test(`send_batch(…${delay}) is visible after ${seconds} s, in order`, async (t) => {
      const messages = `array['{"a": 1}', '{"a": 2}', null]::jsonb[]`
      const headers = `array['{"h": 2}', null, '{"h": 3}']::jsonb[]`

      t.strictSame(await sent(`send_batch('Q', ${messages}${delay})`), [
        { message: { a: 1 }, headers: null, delay: seconds },
        { message: { a: 2 }, headers: null, delay: seconds },
        { message: null, headers: null, delay: seconds },
      ])
      t.strictSame(await sent(`send_batch('Q', ${messages}, ${headers}${delay})`), [
        { message: { a: 1 }, headers: { h: 2 }, delay: seconds },
        { message: { a: 2 }, headers: null, delay: seconds },
        { message: null, headers: { h: 3 }, delay: seconds },
      ])
    })
  }

  t.test('arguments can be given by name', async (t) => {
    const [message] = await sent(
      `send(queue_name => 'Q', msg => '1', headers => '2'::jsonb, delay => 7)`,
    )

    t.strictSame(message, { message: 1, headers: 2, delay: 7 })
  })

  t.test('a thousand messages of one batch get increasing ids in order', async (t) => {
    const rows = await sent(
      `send_batch('Q', array(select to_jsonb(n) from generate_series(1, 1000) n order by n))`,
    )

    t.strictSame(
      rows.map((row) => row.message),
      Array.from({ length: 1000 }, (_, index) => index + 1),
    )
  })

  t.test('rejects a batch without messages, or with headers for some', async (t) => {
    for (const call of [
      `send_batch('Q', array[]::jsonb[])`,
      `send_batch('Q', null::jsonb[])`,
      `send_batch('Q', array['1', '2']::jsonb[], array['1']::jsonb[])`,
      `send_batch('Q', array['1', '2']::jsonb[], array[]::jsonb[])`,
    ]) {
      await t.rejects(pool.query(`select pgmq.${call}`), { code: 'P0001' }, call)
    }
    await t.resolves(sent(`send_batch('Q', array['1', '2']::jsonb[], null::jsonb[], 4)`))
    await t.rejects(sent(`send_batch('Q', array['1']::jsonb[], null::int)`), { code: '23502' })
    await t.rejects(sent(`send('Q', '1', null::jsonb, null::int)`), { code: '23502' })
  })

  /** Sends, and returns what was sent, in the order of ids. */
  async function sent(call: string): Promise<Sent[]> {
    await pool.query("select pgmq.create('Q'), pgmq.purge_queue('Q')")
    const returned = await pool.query({ text: `select pgmq.${call}::int`, rowMode: 'array' })
    const { rows } = await pool.query<Sent & { id: number }>(
      `select msg_id::int as id, message, headers,
              round(extract(epoch from vt - enqueued_at))::int as delay
         from pgmq.q_q order by msg_id`,
    )
    const ids = returned.rows.map(([id]) => id)
    if (String(ids) !== String(rows.map((row) => row.id))) {
      throw new Error(`returned ${ids}, stored ${rows.map((row) => row.id)}`)
    }
    return rows.map(({ message, headers, delay }) => ({ message, headers, delay }))
  }
}
