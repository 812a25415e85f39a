import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { createBus, sqlstateOf } from './bus.ts'

// Name, type, null, default, as clients rely on them; our own columns come last.
const columns = {
  batch: `
    domain text no -
    batch_id uuid no -
    name text yes -
    custom_data jsonb yes -
    status text no 'PENDING'::text
    total_count integer no 0
    completed_count integer no 0
    canceled_count integer no 0
    in_troubleshooting_count integer no 0
    created_at timestamptz no now()
    started_at timestamptz yes -
    completed_at timestamptz yes -
    failed_count integer no 0
    batch_type text no 'COMMAND'::text
    counter_rows smallint no 0`,
  command: `
    domain text no -
    queue_name text no -
    msg_id bigint yes -
    command_id uuid no -
    command_type text no -
    status text no -
    attempts integer no 0
    max_attempts integer no -
    lease_expires_at timestamptz yes -
    last_error_type text yes -
    last_error_code text yes -
    last_error_msg text yes -
    created_at timestamptz no now()
    updated_at timestamptz no now()
    reply_queue text no ''::text
    correlation_id uuid yes -
    batch_id uuid yes -
    counted_as text yes -
    finished_as text yes -`,
  audit: `
    audit_id bigint no nextval('commandbus.audit_audit_id_seq'::regclass)
    domain text no -
    command_id uuid no -
    event_type text no -
    ts timestamptz no now()
    details_json jsonb yes -`,
  payload_archive: `
    domain text no -
    command_id uuid no -
    payload_json jsonb no -
    archived_at timestamptz no now()`,
  process: `
    domain text no -
    process_id uuid no -
    process_type text no -
    status text no 'PENDING'::text
    current_step text yes -
    state jsonb no '{}'::jsonb
    error_code text yes -
    error_message text yes -
    created_at timestamptz no now()
    updated_at timestamptz no now()
    completed_at timestamptz yes -
    batch_id uuid yes -`,
  process_audit: `
    id bigint no nextval('commandbus.process_audit_id_seq'::regclass)
    domain text no -
    process_id uuid no -
    step_name text no -
    command_id uuid no -
    command_type text no -
    command_data jsonb yes -
    sent_at timestamptz no -
    reply_outcome text yes -
    reply_data jsonb yes -
    received_at timestamptz yes -`,
}

const indexes = [
  'audit (audit_id) primary',
  'audit (command_id, ts)',
  'batch (domain, batch_id) primary',
  'batch (domain, created_at DESC)',
  'batch (domain, status)',
  'batch_counter (domain, batch_id, counter_no) primary',
  "command (correlation_id) WHERE (status = 'IN_TROUBLESHOOTING_QUEUE'::text)",
  'command (domain, batch_id) WHERE (batch_id IS NOT NULL)',
  'command (domain, command_id) unique',
  'command (status, command_type)',
  'command (status, created_at DESC)',
  'command (updated_at)',
  'payload_archive (domain, command_id) primary',
  'process (batch_id)',
  'process (batch_id, status)',
  'process (created_at)',
  'process (domain, process_id) primary',
  'process (domain, process_type)',
  'process (domain, status)',
  'process_audit (command_id)',
  'process_audit (domain, process_id)',
  'process_audit (id) primary',
]

test('the tables of commandbus', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  for (const [table, lines] of Object.entries(columns)) {
    t.test(`${table} has the columns that clients rely on`, async (t) => {
      const { rows } = await pool.query<{ column: string }>(
        `select concat_ws(' ', column_name,
                          replace(data_type, 'timestamp with time zone', 'timestamptz'),
                          lower(is_nullable), coalesce(column_default, '-')) as column
           from information_schema.columns
          where table_schema = 'commandbus' and table_name = $1
          order by ordinal_position`,
        [table],
      )

      t.strictSame(
        rows.map((row) => row.column),
        lines
          .trim()
          .split('\n')
          .map((line) => line.trim()),
      )
    })
  }

  t.test('the indexes are those that the contract names, and no more', async (t) => {
    const { rows } = await pool.query<{ index: string }>(
      `select relname
              || regexp_replace(pg_get_indexdef(indexrelid), '^.*USING btree', '')
              || case when indisprimary then ' primary' when indisunique then ' unique' else '' end
                as index
         from pg_index
         join pg_class on pg_class.oid = indrelid
        where relnamespace = 'commandbus'::regnamespace and relname = any ($1)`,
      [['batch_counter', ...Object.keys(columns)]],
    )

    t.strictSame(rows.map((row) => row.index).sort(), indexes)
  })

  t.test('every schema, table, view and column has a comment', async (t) => {
    const { rows } = await pool.query<{ name: string }>(
      `select nspname as name from pg_namespace
        where nspname in ('commandbus', 'e2e') and obj_description(oid, 'pg_namespace') is null
       union all
       select oid::regclass::text from pg_class
        where relnamespace in ('commandbus'::regnamespace, 'e2e'::regnamespace)
          and relkind in ('r', 'v') and obj_description(oid, 'pg_class') is null
       union all
       select attrelid::regclass || '.' || attname from pg_attribute
         join pg_class on pg_class.oid = attrelid
        where relnamespace in ('commandbus'::regnamespace, 'e2e'::regnamespace)
          and relkind in ('r', 'v') and attnum > 0 and not attisdropped
          and col_description(attrelid, attnum) is null`,
    )

    t.strictSame(rows, [])
  })

  t.test('an unknown status is rejected', async (t) => {
    const bus = createBus(pool)

    t.equal(await sqlstateOf(bus.command({ status: 'DONE' })), '23514')
    t.equal(await sqlstateOf(bus.batch({ total: 1, status: 'DONE' })), '23514')
  })

  t.test('an unknown batch type is rejected', async (t) => {
    const insert = `insert into commandbus.batch (domain, batch_id, batch_type)
                    values ('payments', gen_random_uuid(), 'SAGA')`
    t.equal(await sqlstateOf(pool.query(insert)), '23514')
  })

  t.test('counters are never negative, and never exceed the total', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })

    for (const column of [
      'completed_count',
      'canceled_count',
      'failed_count',
      'in_troubleshooting_count',
    ]) {
      for (const value of [-1, 2]) {
        const update = `update commandbus.batch set ${column} = ${value} where batch_id = $1`
        t.equal(await sqlstateOf(pool.query(update, [batchId])), '23514')
      }
    }
  })

  t.test('a command needs its batch, and a batch with commands cannot be deleted', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    await bus.command({ batchId })
    const deleteBatch = () =>
      pool.query('delete from commandbus.batch where batch_id = $1', [batchId])

    t.equal(await sqlstateOf(bus.on(pool).command({ batchId: bus.domain.slice(7) })), '23503')
    t.equal(await sqlstateOf(deleteBatch()), '23503')
    await pool.query('delete from commandbus.command where batch_id = $1', [batchId])
    t.equal((await deleteBatch()).rowCount, 1)
  })

  t.test('a process needs no batch, and any status will do', async (t) => {
    const bus = createBus(pool)

    const id = await bus.process({
      batchId: bus.domain.slice(7),
      status: 'A_WORD_OF_ANOTHER_CLIENT',
    })
    await bus.setProcess(id, 'PENDING')

    const { rows } = await pool.query(
      'select status, state from commandbus.process where process_id = $1',
      [id],
    )
    t.strictSame(rows, [{ status: 'PENDING', state: {} }])
  })

  t.test('a step of a process needs its process, which stays while it has steps', async (t) => {
    const bus = createBus(pool)
    const id = await bus.process()
    const log = (processId: string) =>
      pool.query(
        `insert into commandbus.process_audit
           (domain, process_id, step_name, command_id, command_type, sent_at)
         values ($1, $2, 'pay', gen_random_uuid(), 'Pay', now())`,
        [bus.domain, processId],
      )
    await log(id)

    t.equal(await sqlstateOf(log(bus.domain.slice(7))), '23503')
    const remove = pool.query('delete from commandbus.process where process_id = $1', [id])
    t.equal(await sqlstateOf(remove), '23503')
  })

  t.test('deleting a large batch deletes its counter rows', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1001 })
    await bus.commands(1001, { batchId })
    await bus.startBatch(batchId)

    await pool.query('delete from commandbus.command where batch_id = $1', [batchId])
    await pool.query('delete from commandbus.batch where batch_id = $1', [batchId])

    const { rows } = await pool.query('select from commandbus.batch_counter where batch_id = $1', [
      batchId,
    ])
    t.equal(rows.length, 0)
  })

  t.test('counting updates no index: updates of batches and counter rows are HOT', async (t) => {
    const client = await pool.connect()
    const bus = createBus(client)
    const large = await bus.batch({ total: 1001 })
    const small = await bus.batch({ total: 60 })
    const ids = (await bus.commands(1001, { batchId: large })).slice(0, 100)
    ids.push(...(await bus.commands(50, { batchId: small })))
    await bus.startBatch(large)
    await bus.startBatch(small)
    const others = async (): Promise<number> => {
      await client.query('select pg_stat_force_next_flush()')
      const { rows } = await client.query(
        `select sum(n_tup_upd - n_tup_hot_upd)::int as others
           from pg_stat_user_tables
          where schemaname = 'commandbus' and relname in ('batch', 'batch_counter')`,
      )
      return rows[0].others
    }
    const before = await others()

    for (const id of ids) await bus.finish(id, 'COMPLETED')

    // A page that fills up while an old snapshot keeps it from being pruned moves its rows once.
    t.ok((await others()) - before < ids.length / 4)
    client.release()
  })
})
