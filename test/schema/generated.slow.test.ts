import { test } from 'tap'
import { generateSchema } from '../../scripts/schema/generate.ts'
import { hasPostgres15 } from '../support/debian-server.ts'
import { listDifferences } from '../support/generated.ts'
import { startMigrated15 } from '../support/migrated-15.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('a change of the catalogue changes what npm run db:schema writes', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  await pool.query(`
    alter table commandbus.payload_archive add column size int;
    comment on column commandbus.payload_archive.size is 'In bytes.';
    grant execute on function commandbus.sp_tsq_retry(text, uuid) to public;
    drop function commandbus.remove_legacy_names()`)

  t.strictSame(listDifferences(await generateSchema(url)), [
    'client/schema/commandbus.ts',
    'docs/schema/README.md',
    'docs/schema/commandbus.svg',
    'docs/schema/commandbus/functions/remove_legacy_names.md',
    'docs/schema/commandbus/functions/sp_tsq_retry.md',
    'docs/schema/commandbus/tables/payload_archive.md',
    'schema/commandbus/functions/remove_legacy_names.sql',
    'schema/commandbus/functions/sp_tsq_retry.sql',
    'schema/commandbus/tables/payload_archive.sql',
  ])
})

const skip = hasPostgres15() ? false : "NOT TESTED: Debian's package postgresql-15 is missing"

test('a PostgreSQL 15 gives the same files', { skip }, async (t) => {
  t.strictSame(listDifferences(await generateSchema(await startMigrated15(t))), [])
})
