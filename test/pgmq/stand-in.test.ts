// What is true of the stand-in only; what it shares with PGMQ is in conformance.test.ts.
import { test } from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { hasStandIn, standIn } from './implementations.ts'

test('the stand-in for PGMQ', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  if (!(await hasStandIn(pool))) {
    process.stderr.write('\n*** the given server has no stand-in for PGMQ: not tested ***\n\n')
    return
  }
  await standIn.install(pool)

  t.test('its version names it as a stand-in', async (t) => {
    const { rows } = await pool.query(
      `select extversion from pg_catalog.pg_extension where extname = 'pgmq'`,
    )
    t.match(rows[0]?.extversion, /-standin$/)
  })

  t.test('a queue is a member of the extension until it is dropped', async (t) => {
    await pool.query("select pgmq.create('owned')")
    t.strictSame(await members('owned'), ['a_owned', 'q_owned', 'q_owned_msg_id_seq'])

    await pool.query("select pgmq.detach_archive('owned'), pgmq.detach_archive('nowhere')")
    t.strictSame(await members('owned'), ['q_owned', 'q_owned_msg_id_seq'])

    await pool.query("select pgmq.create('owned')")
    t.strictSame(await members('owned'), ['a_owned', 'q_owned', 'q_owned_msg_id_seq'])
    await pool.query("select pgmq.drop_queue('owned')")
    t.strictSame(await members('owned'), [])
  })

  t.test('a database owner who is not a superuser can use all of it', async (t) => {
    const client = await pool.connect()
    try {
      // In a transaction, so that the role is gone with it.
      await client.query('begin')
      await client.query('drop extension pgmq; drop schema pgmq')
      await client.query(`do $$ begin
        create role pgmq_plain_owner;
        execute format('alter database %I owner to pgmq_plain_owner', current_database());
      end $$`)
      await client.query('set local role pgmq_plain_owner')

      await client.query('create extension pgmq')
      await client.query("select pgmq.create('plain')")
      await client.query(`select pgmq.send('plain', '{}'), pgmq.archive('plain', 1)`)
      await client.query("select pgmq.purge_queue('plain'), pgmq.enable_notify_insert('plain')")
      const dropped = await client.query("select pgmq.drop_queue('plain') as dropped")

      t.strictSame(dropped.rows, [{ dropped: true }])
    } finally {
      await client.query('rollback')
      client.release()
    }
  })

  t.test('unsupported functions raise an error that says so', async (t) => {
    const { rows } = await pool.query<{ name: string; call: string }>(
      `select p.oid::regprocedure::text as name,
              format('select pgmq.%I(%s)', p.proname,
                (select string_agg('null::' || type::regtype, ', ') from unnest(p.proargtypes) type)
              ) as call
         from pg_catalog.pg_proc p
        where p.pronamespace = 'pgmq'::regnamespace
          and obj_description(p.oid, 'pg_proc') like 'Not supported%'`,
    )

    t.equal(rows.length, 26)
    for (const { name, call } of rows) {
      await t.rejects(pool.query(call), { code: '0A000' }, name)
    }
  })

  t.test('every function has a comment and a fixed search_path', async (t) => {
    const { rows } = await pool.query(
      `select p.oid::regprocedure
         from pg_catalog.pg_proc p
        where p.pronamespace = 'pgmq'::regnamespace
          and (obj_description(p.oid, 'pg_proc') is null
               or p.prosecdef
               or p.proconfig is distinct from array['search_path=pg_catalog, pg_temp'])`,
    )
    t.strictSame(rows, [])
  })

  t.test('messages have the column order that released clients read', async (t) => {
    await pool.query("select pgmq.create('positional')")
    await pool.query(`select pgmq.send('positional', '{"a": 1}', '{"h": 2}'::jsonb)`)

    for (const call of [`read('positional', 0, 1)`, `set_vt('positional', 1, 0)`]) {
      const { rows } = await pool.query({ text: `select * from pgmq.${call}`, rowMode: 'array' })
      t.match(rows, [['1', 1, Date, Date, { a: 1 }, { h: 2 }, Date]], call)
    }
  })

  t.test('a dump contains the list of queues', async (t) => {
    const { rows } = await pool.query(
      `select extconfig::regclass[]::text[] as tables
         from pg_catalog.pg_extension where extname = 'pgmq'`,
    )
    t.strictSame(rows[0]?.tables, ['pgmq.meta', 'pgmq.notify_insert_throttle'])
  })

  async function members(queue: string): Promise<string[]> {
    const { rows } = await pool.query(
      `select c.relname
         from pg_catalog.pg_depend d
         join pg_catalog.pg_extension e on e.oid = d.refobjid and e.extname = 'pgmq'
         join pg_catalog.pg_class c on c.oid = d.objid
        where d.classid = 'pg_class'::regclass
          and d.refclassid = 'pg_extension'::regclass
          and d.deptype = 'e'
          and c.relname like '%\\_' || $1 || '%'
        order by 1`,
      [queue],
    )
    return rows.map(({ relname }) => relname)
  }
})
