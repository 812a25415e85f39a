import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import {
  installLegacyNames,
  LEGACY_FUNCTIONS,
  LEGACY_VIEWS,
  legacyNames,
} from '../../../support/legacy-names.ts'
import { openProcedureDatabase } from '../../../support/procedures.ts'

test('install_legacy_names', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'returns the names, with which an old client then works; again is the same',
    rolledBack(async (t, db) => {
      t.strictSame(
        await installLegacyNames(db),
        legacyNames([...LEGACY_VIEWS, ...LEGACY_FUNCTIONS]),
      )
      t.strictSame(
        await installLegacyNames(db),
        legacyNames([...LEGACY_VIEWS, ...LEGACY_FUNCTIONS]),
      )

      const [batchId, commandId] = [randomUUID(), randomUUID()]
      await db.query(
        `insert into public.command_bus_batch (domain, batch_id, total_count) values ('old', $1, 1)`,
        [batchId],
      )
      await db.query(
        `insert into public.command_bus_command
           (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
         values ('old', 'q', $1, 'Pay', 'PENDING', 3, $2)`,
        [commandId, batchId],
      )
      const { rows } = await db.query(
        `select public.sp_finish_command('old', $1, 'COMPLETED', 'COMPLETED') as completed`,
        [commandId],
      )
      t.strictSame(rows, [{ completed: true }])
      const { rows: batches } = await db.query(
        'select status from public.command_bus_batch where batch_id = $1',
        [batchId],
      )
      t.strictSame(batches, [{ status: 'COMPLETED' }])
      await db.query('insert into public.test_command (command_id) values ($1)', [commandId])
      t.match((await db.query('select behavior from e2e.test_command')).rows, [
        { behavior: { type: 'success' } },
      ])
    }),
  )

  t.test(
    'without e2e, its views are left out',
    rolledBack(async (t, db) => {
      await db.query('drop schema e2e cascade')

      const views = LEGACY_VIEWS.filter((name) => name.startsWith('command_bus'))
      t.strictSame(await installLegacyNames(db), legacyNames([...views, ...LEGACY_FUNCTIONS]))
    }),
  )

  t.test(
    'names the objects that are in the way, and installs nothing',
    rolledBack(async (t, db) => {
      await db.query('create table public.command_bus_audit (id int)')
      await db.query(
        `create function public.sp_start_batch(text) returns text language sql as 'select $1'`,
      )

      await t.rejects(installLegacyNames(db), {
        code: '42710',
        detail: 'Found: public.command_bus_audit, public.sp_start_batch(text).',
        hint: /Rename them/,
      })
      const { rows } = await db.query(`select to_regclass('public.command_bus_batch') as view`)
      t.strictSame(rows, [{ view: null }])
    }),
  )
})
