import { test } from 'tap'
import { installLegacyNames } from '../../../support/legacy-names.ts'
import { openProcedureDatabase } from '../../../support/procedures.ts'

const REMOVE = 'select name from commandbus.remove_legacy_names() as name order by name'

test('remove_legacy_names', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'drops what was installed, returns it, and then nothing',
    rolledBack(async (t, db) => {
      const installed = (await installLegacyNames(db)).map((name) => ({ name }))
      await db.query('create view public.mine as select 1 as n')
      await db.query(`create function public.sp_tsq_retry() returns int language sql as 'select 1'`)

      t.strictSame((await db.query(REMOVE)).rows, installed)
      t.strictSame((await db.query(REMOVE)).rows, [])
      const { rows } = await db.query(
        `select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace
          union all
         select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace
          order by 1`,
      )
      t.strictSame(rows, [{ name: 'mine' }, { name: 'sp_tsq_retry()' }], 'others are kept')
    }),
  )

  t.test(
    'removes nothing that another object depends on',
    rolledBack(async (t, db) => {
      await installLegacyNames(db)
      await db.query('create view public.mine as select * from public.command_bus_batch')

      await t.rejects(db.query(REMOVE), { code: '2BP01', detail: /view (public\.)?mine/ })
      t.equal((await db.query('select from public.command_bus_batch limit 0')).rowCount, 0)
    }),
  )
})
