import { test } from 'tap'
import { describeSchemas, loadRows } from '../../support/catalog.ts'
import {
  createLegacySchema,
  fillLegacyTables,
  type LegacyShape,
  legacyId,
} from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createOrigin } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'

const shapes: readonly LegacyShape[] = [
  { batches: true, testCommand: 'without_default' },
  { batches: true, testCommand: 'absent' },
  { batches: false, testCommand: 'with_default' },
]

/** Old name, new name, and the columns that only the new table has. */
const tables: readonly (readonly [string, string, readonly string[]])[] = [
  ['public.command_bus_batch', 'commandbus.batch', ['failed_count', 'batch_type', 'counter_rows']],
  ['public.command_bus_command', 'commandbus.command', ['counted_as', 'finished_as', 'batch_id']],
  ['public.command_bus_audit', 'commandbus.audit', []],
  ['public.command_bus_payload_archive', 'commandbus.payload_archive', []],
  ['public.e2e_config', 'e2e.config', []],
  ['public.test_command', 'e2e.test_command', []],
  ['pgmq.q_payments__commands', 'pgmq.q_payments__commands', []],
  ['pgmq.a_payments__commands', 'pgmq.a_payments__commands', []],
  ['pgmq.q_billing__commands', 'pgmq.q_billing__commands', []],
  ['pgmq.meta', 'pgmq.meta', []],
]

for (const shape of shapes) {
  const name = JSON.stringify(shape)

  test(`${name} ends with the catalogue of a new database, and every row stays in its file`, async (t) => {
    const fresh = await createTestDatabase(t, { from: 'migrated' })
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    await createLegacySchema(pool, shape)
    await fillLegacyTables(pool, shape)
    const kept = []
    for (const [oldName, newName, added] of tables) {
      const { rows } = await pool.query(
        `select pg_relation_filenode(to_regclass($1)) as file, to_regclass($1) is null as absent`,
        [oldName],
      )
      if (rows[0].absent) continue
      kept.push({
        newName,
        added,
        file: rows[0].file,
        rows: await loadRows(pool, oldName, added),
      })
    }
    const batchIds = shape.batches
      ? await loadRows(pool, '(select command_id, batch_id from public.command_bus_command)')
      : []

    await runMigrations(url)

    for (const { newName, added, file, rows } of kept) {
      t.ok(rows.length > 0, `${newName} has rows`)
      const after = await loadRows(pool, newName, added)
      // Settings and queues that are new since are added.
      const isAddedTo = ['e2e.config', 'pgmq.meta'].includes(newName)
      t.same(isAddedTo ? after.filter((row) => rows.includes(row)) : after, rows, newName)
      const { rows: files } = await pool.query(
        'select pg_relation_filenode($1::regclass) as file',
        [newName],
      )
      t.equal(files[0].file, file, `${newName} was not rewritten`)
    }
    if (shape.batches) {
      t.same(
        await loadRows(pool, '(select command_id, batch_id from commandbus.command)'),
        batchIds,
      )
    }
    t.same(
      await describeSchemas(pool, ['commandbus', 'e2e']),
      await describeSchemas(fresh.pool, ['commandbus', 'e2e']),
    )
    const ids = await pool.query(
      `insert into commandbus.audit (domain, command_id, event_type)
       values ('payments', $1, 'SENT') returning audit_id`,
      [legacyId('c', 1)],
    )
    t.equal(ids.rows[0].audit_id, '48', 'after 47, the last one used')
    const left = await pool.query(
      `select relname from pg_class where relnamespace = 'public'::regnamespace
        union all
       select proname from pg_proc where pronamespace = 'public'::regnamespace`,
    )
    t.same(left.rows, [], 'nothing is left in public')
    const report = await pool.query('select finding from commandbus.adoption_report')
    t.same(report.rows, [], 'nothing had to be repaired')
  })
}

test('with E2E_SCHEMA=off the old e2e tables stay in public', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)

  await runMigrations(url, { e2e: 'off' })

  const { rows } = await pool.query(
    `select (select count(*)::int from public.e2e_config) as config,
            (select count(*)::int from public.test_command) as commands,
            to_regnamespace('e2e') as e2e`,
  )
  t.same(rows, [{ config: 2, commands: 16, e2e: null }])
})

test("another application's table test_command is left alone", async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create table public.test_command (id int, what text)')
  await pool.query(`insert into public.test_command values (1, 'mine')`)

  await runMigrations(url)

  const { rows } = await pool.query('select id, what from public.test_command')
  t.same(rows, [{ id: 1, what: 'mine' }])
})

test('views, indexes and columns on an old table follow it', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  await pool.query(
    `create view public.failed as
       select command_id from public.command_bus_command where status = 'FAILED';
     create index ix_command_bus_command_of_mine on public.command_bus_command (correlation_id);
     create index by_attempts on public.command_bus_command (attempts);
     alter table public.command_bus_command add column note text default 'none'`,
  )

  await runMigrations(url)

  const view = await pool.query('select command_id from public.failed')
  t.same(view.rows, [{ command_id: legacyId('c', 4) }])
  const indexes = await pool.query(
    `select indexname from pg_indexes
      where schemaname = 'commandbus' and (indexdef like '%(correlation_id)' or indexdef like '%(attempts)')
      order by 1`,
  )
  t.same(indexes.rows, [{ indexname: 'by_attempts' }, { indexname: 'ix_command_of_mine' }])
})

test('a foreign key that already has its new name keeps it', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, ['processes'])
  await pool.query(
    `alter table commandbus.process_audit
       rename constraint process_audit_domain_process_id_fkey to process_audit_belongs_to_a_process`,
  )

  await runMigrations(url)

  const { rows } = await pool.query(
    `select conname from pg_constraint
      where conrelid = 'commandbus.process_audit'::regclass and contype = 'f'`,
  )
  t.same(rows, [{ conname: 'process_audit_belongs_to_a_process' }])
})
