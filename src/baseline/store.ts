import { STORE_SCHEMA } from '../catalog/scope.ts'
import type { Queryable } from '../postgres/client.ts'
import { LAST_MIGRATION_SQL } from './last-migration.ts'

/** The number in store.sql: raised with every change of the store. */
export const STORE_FORMAT = 5

/** The stored definitions, as `differencesSql` compares them. */
export const STORED_OBJECTS_SQL = 'select kind, name, definition from provisioning.baseline_object'

export interface Baseline {
  readonly id: string
}

/**
 * The comments by which the service knows the tables of its own that decide about a reset. A table of
 * another program may have the same name, and the same columns.
 */
export const OWN_COMMENTS = {
  disposable:
    'Its row marks the database disposable, and counts only in the database that it names.',
  this_database:
    'Which database this is: the server, the database in it, and the timeline that the server is on.',
} as const

/**
 * Creates the store, or upgrades that of an older version; an upgrade loses the baseline. A store that
 * this role cannot read is another role's, and left as it is. Throws if the schema holds objects that
 * are not the store's.
 */
export async function ensureStore(client: Queryable): Promise<void> {
  // A start without reset needs neither script.
  const { assertSchemaIsOwn, STORE_SCRIPT } = await import('./own-schema.ts')
  await assertSchemaIsOwn(client)
  const { rows } = await client.query<{ mayRead: boolean }>(
    `select pg_catalog.has_schema_privilege(relnamespace, 'usage')
            and pg_catalog.has_table_privilege(pg_class.oid, 'select') as "mayRead"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname = '${STORE_SCHEMA}' and relname = 'store_format'`,
  )
  if (rows[0] !== undefined && (!rows[0].mayRead || (await isCurrent(client)))) return
  await client.query(`begin; ${STORE_SCRIPT}; commit`)
}

async function isCurrent(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ format: number }>(
    'select format from provisioning.store_format',
  )
  return rows[0]?.format === STORE_FORMAT
}

/** A condition on pg_class, pg_namespace joined: the table or view of the store with this name. */
export function isOwnRelation(name: keyof typeof OWN_COMMENTS): string {
  return `(nspname = '${STORE_SCHEMA}' and relname = '${name}'
           and relkind = '${name === 'disposable' ? 'r' : 'v'}'
           and pg_catalog.obj_description(pg_class.oid, 'pg_class') = '${OWN_COMMENTS[name]}')`
}

/** False also where this role has no access to the store, and so can neither reset nor allow it. */
export async function hasStore(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ hasAccess: boolean }>(
    `select count(*) = 2 as "hasAccess"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where (${isOwnRelation('disposable')} or ${isOwnRelation('this_database')})
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
                     where kind = 'schema' and name = any ($1)) as exists`,
    // Not by quote_ident, whose result depends on quote_all_identifiers.
    [[name, `"${name.replaceAll('"', '""')}"`]],
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
