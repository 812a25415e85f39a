import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase } from '../../../support/procedures.ts'

test('grant_legacy_names', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'gives the old names the grants of the objects behind them, and takes revoked ones away',
    rolledBack(async (t, db) => {
      const suffix = randomUUID().slice(0, 8)
      const [writer, reader] = [`writer_${suffix}`, `reader_${suffix}`]
      await db.query(`create role ${writer}; create role ${reader}`)
      await db.query('select commandbus.install_legacy_names()')
      await db.query(
        `grant select, insert on commandbus.command to ${writer};
         grant execute on function commandbus.sp_tsq_retry(text, uuid) to ${writer};
         grant select (status, failed_count) on commandbus.batch to ${reader};
         grant select on e2e.config to ${reader} with grant option`,
      )
      const rights = async () => {
        await db.query('select commandbus.grant_legacy_names()')
        const { rows } = await db.query(
          `select has_table_privilege($1, 'public.command_bus_command', 'insert') as writes,
                  has_table_privilege($1, 'public.command_bus_command', 'delete') as deletes,
                  has_function_privilege($1, 'public.sp_tsq_retry(text, uuid)', 'execute') as calls,
                  has_function_privilege('public', 'public.sp_tsq_retry(text, uuid)', 'execute') as anyone,
                  has_column_privilege($2, 'public.command_bus_batch', 'status', 'select') as status,
                  has_column_privilege($2, 'public.command_bus_batch', 'name', 'select') as name,
                  has_table_privilege($2, 'public.e2e_config', 'select with grant option') as option`,
          [writer, reader],
        )
        return rows[0]
      }
      const given = {
        ...{ writes: true, deletes: false, calls: true, anyone: false },
        ...{ status: true, name: false, option: true },
      }
      t.strictSame(await rights(), given)

      await db.query(
        `revoke insert on commandbus.command from ${writer};
         revoke execute on function commandbus.sp_tsq_retry(text, uuid) from ${writer};
         revoke grant option for select on e2e.config from ${reader};
         grant select on commandbus.command to public`,
      )

      t.strictSame(await rights(), { ...given, writes: false, calls: false, option: false })
      const { rows } = await db.query(
        `select has_table_privilege('public', 'public.command_bus_command', 'select') as reads`,
      )
      t.strictSame(rows, [{ reads: true }], 'also what everyone may')
    }),
  )

  t.test(
    'does nothing where no legacy name is installed',
    rolledBack(async (t, db) => {
      await db.query('select commandbus.grant_legacy_names()')
      const { rows } = await db.query(`select to_regclass('public.command_bus_batch') as view`)
      t.strictSame(rows, [{ view: null }])
    }),
  )
})
