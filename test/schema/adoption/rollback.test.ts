import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { loadRows } from '../../support/catalog.ts'
import { createLegacySchema, fillLegacyTables, legacyId } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createTestDatabase } from '../../support/postgres.ts'

test('the statements in docs/operate/adoption.md undo an adoption, which can then be repeated', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  const commands = await loadRows(pool, 'public.command_bus_command')
  const batches = await loadRows(pool, 'public.command_bus_batch')
  await runMigrations(url)
  await pool.query('create schema graphile_migrate; select commandbus.install_legacy_names()')
  const [, rollback = ''] =
    readFileSync('docs/operate/adoption.md', 'utf8').match(/<!-- rollback.*?```sql\n(.*?)```/s) ??
    []

  await pool.query(rollback)

  t.same(await loadRows(pool, 'public.command_bus_command'), commands)
  t.same(await loadRows(pool, 'public.command_bus_batch'), batches)
  const { rows } = await pool.query(
    `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
  )
  t.same(
    rows.map((row) => row.relname),
    [
      'command_bus_audit',
      'command_bus_batch',
      'command_bus_command',
      'command_bus_payload_archive',
      'e2e_config',
      'test_command',
    ],
  )

  await runMigrations(url)

  t.same(await loadRows(pool, 'commandbus.command', ['counted_as', 'finished_as']), commands)
  const finish = await pool.query(
    `select commandbus.sp_finish_command('payments', $1, 'COMPLETED', 'COMPLETED') as is`,
    [legacyId('c', 205)],
  )
  t.same(finish.rows, [{ is: false }])
})
