import type { Pool } from 'pg'
import type { Test } from 'tap'

/** What must hold for making, listing and removing queues. */
export function testQueues(t: Test, pool: Pool): void {
  t.test(
    'a queue is a table and an archive, named in lower case, and a line in meta',
    async (t) => {
      await pool.query("select pgmq.create('Orders')")

      const { rows } = await pool.query(
        `select queue_name, is_partitioned, is_unlogged, created_at <= now() as created
         from pgmq.list_queues() where lower(queue_name) = 'orders'`,
      )
      t.strictSame(rows, [
        { queue_name: 'Orders', is_partitioned: false, is_unlogged: false, created: true },
      ])
      t.strictSame(await kindsOf('orders'), { queue: 'p', archive: 'p' })
    },
  )

  t.test('an unlogged queue has an ordinary archive', async (t) => {
    await pool.query("select pgmq.create_unlogged('fast')")

    const { rows } = await pool.query("select is_unlogged from pgmq.meta where queue_name = 'fast'")
    t.strictSame(rows, [{ is_unlogged: true }])
    t.strictSame(await kindsOf('fast'), { queue: 'u', archive: 'p' })
  })

  t.test('creating a queue again keeps its messages', async (t) => {
    await pool.query("select pgmq.create_non_partitioned('twice')")
    await pool.query(`select pgmq.send('twice', '{}')`)
    await pool.query("select pgmq.create('twice')")

    const { rows } = await pool.query(
      `select (select count(*)::int from pgmq.q_twice) as messages,
              (select count(*)::int from pgmq.meta where queue_name = 'twice') as entries`,
    )
    t.strictSame(rows, [{ messages: 1, entries: 1 }])
  })

  t.test('ten sessions create and drop one queue at the same time without an error', async (t) => {
    const turn = async () => {
      await pool.query("select pgmq.create('contended')")
      await pool.query("select pgmq.drop_queue('contended')")
    }

    await t.resolves(Promise.all(Array.from({ length: 10 }, turn)))
  })

  t.test('dropping a queue leaves nothing; dropping it again is false', async (t) => {
    await pool.query("select pgmq.create('gone'), pgmq.enable_notify_insert('gone')")

    t.equal(await value("select pgmq.drop_queue('gone')"), true)

    t.strictSame(await kindsOf('gone'), { queue: null, archive: null })
    t.equal(await value("select count(*)::int from pgmq.meta where queue_name = 'gone'"), 0)
    t.equal(
      await value(
        "select count(*)::int from pgmq.list_notify_insert_throttles() where queue_name = 'gone'",
      ),
      0,
    )
    t.equal(await value("select pgmq.drop_queue('gone')"), false)
    await pool.query("select pgmq.create('gone')")
    t.equal(await value("select pgmq.drop_queue('gone', false)"), true)
  })

  t.test('a name has at most 47 characters, and none that needs escaping', async (t) => {
    await pool.query(`select pgmq.create(repeat('n', 47)), pgmq.create('a b.c-d"e')`)
    t.equal(await value(`select pgmq.drop_queue('a b.c-d"e')`), true)

    for (const name of ['n'.repeat(48), 'a$b', 'a;b', "a'b", 'a--b']) {
      await t.rejects(pool.query('select pgmq.create($1)', [name]), { code: 'P0001' }, name)
    }
    await t.rejects(pool.query('select pgmq.create(null)'), { code: '22004' })
    await t.rejects(pool.query("select pgmq.validate_queue_name(repeat('n', 48))"), {
      code: 'P0001',
    })
    await t.resolves(pool.query("select pgmq.validate_queue_name(repeat('n', 47))"))
    t.equal(await value("select pgmq.format_table_name('Orders', 'a')"), 'a_orders')
  })

  t.test('an unknown queue is an undefined table', async (t) => {
    for (const call of [
      `send('nowhere', '{}')`,
      `read('nowhere', 1, 1)`,
      `read_with_poll('nowhere', 1, 1)`,
      `pop('nowhere')`,
      `delete('nowhere', 1)`,
      `archive('nowhere', 1)`,
      `set_vt('nowhere', 1, 1)`,
      `purge_queue('nowhere')`,
      `metrics('nowhere')`,
    ]) {
      await t.rejects(pool.query(`select pgmq.${call}`), { code: '42P01' }, call)
    }
  })

  t.test('metrics count all messages, visible ones, and all that were ever sent', async (t) => {
    await pool.query("select pgmq.create('measured'), pgmq.create('idle')")
    await pool.query(`select pgmq.send('measured', '{}'), pgmq.send('measured', '{}', 60)`)
    await pool.query(`select pgmq.pop('measured'), pgmq.send('measured', '{}')`)
    await pool.query(
      `update pgmq.q_measured set enqueued_at = now() - msg_id * interval '10 s' where msg_id > 1`,
    )

    const { rows } = await pool.query(
      `select queue_name, queue_length::int, newest_msg_age_sec, oldest_msg_age_sec,
              total_messages::int, queue_visible_length::int, default_partition_length,
              scrape_time <= now() as scraped
         from pgmq.metrics_all() where queue_name in ('measured', 'idle') order by 1`,
    )
    t.strictSame(rows, [
      {
        queue_name: 'idle',
        queue_length: 0,
        newest_msg_age_sec: null,
        oldest_msg_age_sec: null,
        total_messages: 0,
        queue_visible_length: 0,
        default_partition_length: null,
        scraped: true,
      },
      {
        queue_name: 'measured',
        queue_length: 2,
        newest_msg_age_sec: 20,
        oldest_msg_age_sec: 30,
        total_messages: 3,
        queue_visible_length: 1,
        default_partition_length: null,
        scraped: true,
      },
    ])
    t.equal(await value("select queue_length::int from pgmq.metrics('measured')"), 2)
  })

  t.test('purging removes all messages, even hidden ones, and ids continue', async (t) => {
    await pool.query("select pgmq.create('purged')")
    await pool.query(`select pgmq.send('purged', '{}'), pgmq.send('purged', '{}', 60)`)

    t.equal(await value("select pgmq.purge_queue('purged')::int"), 2)
    t.equal(await value("select pgmq.purge_queue('purged')::int"), 0)
    t.equal(await value(`select pgmq.send('purged', '{}')::int`), 3)
  })

  async function value(sql: string): Promise<unknown> {
    const { rows } = await pool.query({ text: sql, rowMode: 'array' })
    return rows[0]?.[0]
  }

  /** Persistence of a queue's two tables, null where there is none. */
  async function kindsOf(queue: string): Promise<unknown> {
    const { rows } = await pool.query(
      `select (select relpersistence from pg_catalog.pg_class where oid = to_regclass($1)) as queue,
              (select relpersistence from pg_catalog.pg_class where oid = to_regclass($2)) as archive`,
      [`pgmq.q_${queue}`, `pgmq.a_${queue}`],
    )
    return rows[0]
  }
}
