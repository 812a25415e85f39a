import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'
import { sqlstateOf } from '../commandbus/bus.ts'

const queues = [
  'e2e__commands',
  'e2e__replies',
  'payments__commands',
  'payments__replies',
  'reporting__commands',
  'reporting__process_replies',
  'reporting__replies',
  'reports__commands',
  'reports__replies',
  'test__commands',
  'test__replies',
]

const migration = readFileSync(
  join(projectDir, 'migrations', 'committed', '000002-e2e.sql'),
  'utf8',
)

test('the schema e2e', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.test('has the columns that test applications rely on', async (t) => {
    const { rows } = await pool.query<{ column: string }>(
      `select concat_ws(' ', table_name, column_name, data_type, lower(is_nullable),
                        coalesce(column_default, '-')) as column
         from information_schema.columns
        where table_schema = 'e2e'
        order by table_name, ordinal_position`,
    )

    t.strictSame(
      rows.map((row) => row.column),
      [
        `batch_summary id integer no nextval('e2e.batch_summary_id_seq'::regclass)`,
        'batch_summary batch_id uuid no -',
        `batch_summary domain text no 'e2e'::text`,
        'batch_summary total_expected integer no 0',
        'batch_summary success_count integer no 0',
        'batch_summary failed_count integer no 0',
        'batch_summary canceled_count integer no 0',
        'batch_summary created_at timestamp with time zone no now()',
        'batch_summary completed_at timestamp with time zone yes -',
        'config key text no -',
        'config value jsonb no -',
        'config updated_at timestamp with time zone no now()',
        `test_command id integer no nextval('e2e.test_command_id_seq'::regclass)`,
        'test_command command_id uuid no -',
        `test_command payload jsonb no '{}'::jsonb`,
        'test_command behavior jsonb no -',
        'test_command created_at timestamp with time zone no now()',
        'test_command processed_at timestamp with time zone yes -',
        'test_command attempts integer no 0',
        'test_command result jsonb yes -',
      ],
    )
  })

  t.test('has the indexes that the contract names, and no more', async (t) => {
    const { rows } = await pool.query<{ index: string }>(
      `select indrelid::regclass || regexp_replace(pg_get_indexdef(indexrelid), '^.*USING btree', '')
              || case when indisprimary then ' primary' when indisunique then ' unique' else '' end
                as index
         from pg_index
         join pg_class on pg_class.oid = indrelid
        where relnamespace = 'e2e'::regnamespace
        order by 1`,
    )

    t.strictSame(
      rows.map((row) => row.index),
      [
        'e2e.batch_summary (batch_id) unique',
        'e2e.batch_summary (created_at)',
        'e2e.batch_summary (id) primary',
        'e2e.config (key) primary',
        'e2e.test_command (command_id) unique',
        'e2e.test_command (created_at)',
        'e2e.test_command (id) primary',
      ],
    )
  })

  t.test('starts with the rows and queues that the contract names', async (t) => {
    t.strictSame((await pool.query('select key, value from e2e.config order by key')).rows, [
      { key: 'retry', value: { max_attempts: 3, backoff_schedule: [10, 60, 300] } },
      { key: 'runtime', value: { mode: 'sync' } },
      {
        key: 'worker',
        value: { visibility_timeout: 30, concurrency: 4, poll_interval: 1, batch_size: 10 },
      },
    ])
    const { rows } = await pool.query('select queue_name from pgmq.meta order by 1')
    t.strictSame(
      rows.map((row) => row.queue_name),
      queues,
    )
  })

  t.test('keeps an existing queue and its messages', async (t) => {
    await pool.query(`select pgmq.send('payments__commands', '{}')`)
    await pool.query('drop schema e2e cascade')

    await pool.query(migration.replaceAll(':E2E_SCHEMA', 'on'))

    t.equal((await pool.query('select from pgmq.q_payments__commands')).rowCount, 1)
    t.equal((await pool.query('select from e2e.config')).rowCount, 3)
  })

  t.test('E2E_SCHEMA is on or off, and nothing else', async (t) => {
    const { pool: other } = await createTestDatabase(t, { from: 'migrated' })

    t.equal(await sqlstateOf(other.query(migration.replaceAll(':E2E_SCHEMA', 'yes'))), '22023')
  })
})
