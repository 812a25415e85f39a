import { readFileSync } from 'node:fs'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** The number in store.sql: raised with every change of the store. */
export const STORE_FORMAT = 3

/** The stored definitions, as `differencesSql` compares them. */
export const STORED_OBJECTS_SQL = 'select kind, name, definition from provisioning.baseline_object'

/** The last migration in the tool's history, by its hash. */
export const LAST_MIGRATION_SQL = sql`
  select hash
    from graphile_migrate.migrations
   order by length(filename) desc, filename desc
   limit 1`

export interface Baseline {
  readonly id: string
}

/**
 * Creates the store, or upgrades that of an older version; an upgrade loses the baseline. A store that
 * this role cannot read is another role's, and left as it is.
 */
export async function ensureStore(client: Queryable): Promise<void> {
  const { rows } = await client.query<{ mayRead: boolean }>(
    `select pg_catalog.has_schema_privilege(relnamespace, 'usage')
            and pg_catalog.has_table_privilege(pg_class.oid, 'select') as "mayRead"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname = 'provisioning' and relname = 'store_format'`,
  )
  if (rows[0] !== undefined && (!rows[0].mayRead || (await isCurrent(client)))) return
  // Beside this module: in the build as well as in the flat folder of the bundle.
  const script = readFileSync(new URL('store.sql', import.meta.url), 'utf8')
  await client.query(`begin; ${script}; commit`)
}

async function isCurrent(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ format: number }>(
    'select format from provisioning.store_format',
  )
  return rows[0]?.format === STORE_FORMAT
}

/** False also where this role has no access to the store, and so can neither reset nor allow it. */
export async function hasStore(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ hasAccess: boolean }>(
    `select count(*) = 2 as "hasAccess"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname = 'provisioning' and relname in ('disposable', 'this_database')
        and pg_catalog.has_schema_privilege(relnamespace, 'usage')
        and pg_catalog.has_table_privilege(pg_class.oid, 'select')`,
  )
  return rows[0]?.hasAccess === true
}

/** The baseline, unless its format is another version's or a migration was applied after it. */
export async function findBaseline(client: Queryable): Promise<Baseline | undefined> {
  if (!(await hasStore(client))) return undefined
  const { rows: tool } = await client.query<{ exists: boolean }>(
    `select to_regclass('graphile_migrate.migrations') is not null as exists`,
  )
  if (!tool[0]?.exists) return undefined
  const { rows } = await client.query<Baseline>(
    `select baseline_id as id
       from provisioning.baseline
      where format = $1 and last_migration = (${LAST_MIGRATION_SQL})`,
    [STORE_FORMAT],
  )
  return rows[0]
}

/** Whether the migrations created a schema of that name; undefined where there is no baseline. */
export async function baselineHasSchema(
  client: Queryable,
  name: string,
): Promise<boolean | undefined> {
  if ((await findBaseline(client)) === undefined) return undefined
  const { rows } = await client.query<{ exists: boolean }>(
    `select exists (select from provisioning.baseline_object
                     where kind = 'schema' and name = quote_ident($1)) as exists`,
    [name],
  )
  return rows[0]?.exists
}

/** Deletes the baseline: until the next capture, only a rebuild can reset the database. */
export async function forgetBaseline(client: Queryable): Promise<void> {
  await client.query(
    `truncate provisioning.baseline, provisioning.baseline_object, provisioning.baseline_relation,
              provisioning.baseline_row, provisioning.baseline_sequence`,
  )
}
