import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import {
  GRANTED_LEGACY_RIGHTS,
  installLegacyNames,
  readLegacyRights,
} from '../../../support/legacy-names.ts'
import { openProcedureDatabase } from '../../../support/procedures.ts'

test('grant_legacy_names', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'gives the old names the grants of the objects behind them, and takes revoked ones away',
    rolledBack(async (t, db) => {
      const suffix = randomUUID().slice(0, 8)
      const [writer, reader] = [`writer_${suffix}`, `reader_${suffix}`]
      await db.query(`create role ${writer}; create role ${reader}`)
      await installLegacyNames(db)
      await db.query(
        `grant select, insert on commandbus.command to ${writer};
         grant execute on function commandbus.sp_tsq_retry(text, uuid) to ${writer};
         grant select (status, failed_count) on commandbus.batch to ${reader};
         grant select on e2e.config to ${reader} with grant option`,
      )
      const rights = async () => {
        await db.query('select commandbus.grant_legacy_names()')
        return readLegacyRights(db, writer, reader)
      }
      const given = GRANTED_LEGACY_RIGHTS
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
