import type { Pool } from 'pg'
import { test } from 'tap'
import { legacyId } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createOrigin, origins } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createTestRole } from '../../support/roles.ts'

const first = origins['Flyway, client 0.1.0 to 0.1.9'] ?? []

test('a role that could use the four tables can use all six, and every function', async (t) => {
  const worker = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, first)
  await pool.query(
    `grant usage on schema commandbus, e2e to ${worker};
     grant select, insert, update on all tables in schema commandbus, e2e to ${worker};
     grant usage on all sequences in schema commandbus, e2e to ${worker}`,
  )

  await runMigrations(url)

  await as(pool, worker, work)
  const { rows } = await pool.query(
    `select has_table_privilege($1, 'commandbus.process', 'delete') as more,
            has_table_privilege($1, 'commandbus.adoption_report', 'select') as report`,
    [worker],
  )
  t.strictSame(rows, [{ more: false, report: false }], 'it has no more than it had on commands')
})

test('functions are no longer executable by everybody; explicit grants stay', async (t) => {
  const caller = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, first)
  await pool.query(`grant execute on function commandbus.sp_start_batch(text, uuid) to ${caller}`)

  await runMigrations(url)

  const { rows } = await pool.query(
    `select proname from pg_proc
      where pronamespace = 'commandbus'::regnamespace and has_function_privilege($1, oid, 'execute')`,
    [caller],
  )
  t.strictSame(rows, [{ proname: 'sp_start_batch' }])
})

test('the former owner keeps what it had', async (t) => {
  const owner = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, first)
  const { rows: objects } = await pool.query(
    `select format('schema %I', nspname) as name from pg_namespace where nspname in ('commandbus', 'e2e')
      union all
     select format('table %s', oid::regclass) from pg_class
      where relnamespace in ('commandbus'::regnamespace, 'e2e'::regnamespace) and relkind = 'r'
      union all
     select format('function %s', oid::regprocedure)
       from pg_proc where pronamespace = 'commandbus'::regnamespace`,
  )
  for (const { name } of objects) await pool.query(`alter ${name} owner to ${owner}`)

  await runMigrations(url)

  await as(pool, owner, work)
  await as(pool, owner, 'create table commandbus.of_mine (id int)')
  await as(pool, owner, 'truncate commandbus.payload_archive')
})

/** What a client does: a batch to its end, a process and its step, a test command. */
const work = `
  insert into commandbus.batch (domain, batch_id, total_count) values ('payments', '${legacyId('b', 1)}', 1001);
  insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
  select 'payments', 'q', ('cccccccc-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'T', 'PENDING', 3, '${legacyId('b', 1)}'
    from generate_series(1, 1001) as n;
  select commandbus.sp_receive_command('payments', '${legacyId('c', 1)}');
  select commandbus.sp_finish_command('payments', '${legacyId('c', 1)}', 'COMPLETED', 'COMPLETED');
  insert into commandbus.audit (domain, command_id, event_type) values ('payments', '${legacyId('c', 1)}', 'MINE');
  insert into commandbus.process (domain, process_id, process_type) values ('payments', '${legacyId('c', 1)}', 'T');
  insert into commandbus.process_audit (domain, process_id, step_name, command_id, command_type, sent_at)
  values ('payments', '${legacyId('c', 1)}', 'one', '${legacyId('c', 1)}', 'T', now());
  update commandbus.process set status = 'COMPLETED';
  select * from commandbus.batch_progress;
  insert into e2e.test_command (command_id, behavior) values (gen_random_uuid(), '{}');
  insert into e2e.batch_summary (batch_id) values (gen_random_uuid())`

/** Runs statements as a role, in one transaction. */
async function as(pool: Pool, role: string, sql: string): Promise<void> {
  await pool.query(`begin; set local role ${role}; ${sql}; commit`)
}
