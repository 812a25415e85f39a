import type { Pool } from 'pg'
import { test } from 'tap'
import { describeSchemas, loadRows } from '../../support/catalog.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createOrigin, fillOrigin, origins } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'

const schemas = ['commandbus', 'e2e']

for (const [name, additions] of Object.entries(origins)) {
  test(`${name}: becomes what a new database is, and every row stays where it is`, async (t) => {
    const fresh = await createTestDatabase(t, { from: 'migrated' })
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    await createOrigin(pool, additions)
    await fillOrigin(pool, additions)
    const before = await readTables(pool)

    await runMigrations(url)

    for (const { name: table, columns, file, rows } of before) {
      const after = await loadRows(pool, `(select ${columns} from ${table})`)
      // A setting that is new since is added.
      t.same(
        table === 'e2e.config' ? after.filter((row) => rows.includes(row)) : after,
        rows,
        table,
      )
      t.equal(await fileOf(pool, table), file, `${table} was not rewritten`)
    }
    const expected = await describeSchemas(fresh.pool, schemas)
    t.same(await describeSchemas(pool, schemas), expected)
  })
}

interface Table {
  readonly name: string
  readonly columns: string
  readonly file: number
  readonly rows: readonly string[]
}

async function readTables(pool: Pool): Promise<Table[]> {
  const { rows } = await pool.query<{ name: string; columns: string }>(
    `select oid::regclass::text as name,
            (select string_agg(quote_ident(attname), ', ' order by attname)
               from pg_attribute where attrelid = pg_class.oid and attnum > 0) as columns
       from pg_class
      where relkind = 'r'
        and (relnamespace = any (array[to_regnamespace('commandbus'), to_regnamespace('e2e')]::oid[])
             or relname = 'flyway_schema_history' or relname like 'q\\_%' or relname like 'a\\_%')`,
  )
  return Promise.all(
    rows.map(async ({ name, columns }) => ({
      name,
      columns,
      file: await fileOf(pool, name),
      rows: await loadRows(pool, `(select ${columns} from ${name})`),
    })),
  )
}

async function fileOf(pool: Pool, table: string): Promise<number> {
  const { rows } = await pool.query('select pg_relation_filenode($1::regclass) as file', [table])
  return rows[0].file
}
