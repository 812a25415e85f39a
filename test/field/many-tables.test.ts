// A rebuild of more tables than a transaction can lock: row D11.
import { test } from 'tap'
import { startResetting } from '../reset/running.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

const TABLES = 12_000
const TABLES_PER_FILE = 3000

test(`a rebuild of ${TABLES} tables, more than one transaction can lock`, async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const bodies = Array.from({ length: TABLES / TABLES_PER_FILE }, (_, file) =>
    Array.from(
      { length: TABLES_PER_FILE },
      (_, index) => `create table t_${file}_${index} (i int);`,
    ).join('\n'),
  )
  const service = await startResetting(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, bodies),
  })
  await pool.query('create table extra ()')

  const { status, body } = await service.reset({ mode: 'rebuild' })

  t.match({ status, body }, { status: 200, body: { mode: 'rebuild' } })
  const { rows } = await pool.query(
    `select count(*)::int as tables, to_regclass('extra') as extra
       from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
  )
  t.strictSame(rows, [{ tables: TABLES, extra: null }])
})
