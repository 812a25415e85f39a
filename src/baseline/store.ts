import { readFileSync } from 'node:fs'
import { STORE_SCHEMA } from '../catalog/scope.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { TEST_DATABASE_TABLE } from './test-database-store.ts'

/** The number in store.sql: raised with every change of the store. */
export const STORE_FORMAT = 5

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
  // Beside this module: in the build as well as in the flat folder of the bundle.
  const script = readFileSync(new URL('store.sql', import.meta.url), 'utf8')
  await assertSchemaIsOwn(client, script)
  const { rows } = await client.query<{ mayRead: boolean }>(
    `select pg_catalog.has_schema_privilege(relnamespace, 'usage')
            and pg_catalog.has_table_privilege(pg_class.oid, 'select') as "mayRead"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname = '${STORE_SCHEMA}' and relname = 'store_format'`,
  )
  if (rows[0] !== undefined && (!rows[0].mayRead || (await isCurrent(client)))) return
  await client.query(`begin; ${script}; commit`)
}

async function isCurrent(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ format: number }>(
    'select format from provisioning.store_format',
  )
  return rows[0]?.format === STORE_FORMAT
}

/**
 * Throws if the schema holds anything that `script` does not create. A reset can neither restore nor drop
 * such an object, and must not replace it.
 */
async function assertSchemaIsOwn(client: Queryable, script: string): Promise<void> {
  const { rows } = await client.query<{ object: string }>(
    `with own as (
       select kind, name, comment
         from pg_catalog.jsonb_to_recordset($1) as own (kind text, name text, comment text)),
     found (kind, name, comment, classid, objid) as (
       select case relkind when 'r' then 'table' when 'v' then 'view' when 'S' then 'sequence'
                           else 'relation' end,
              relname::text, pg_catalog.obj_description(oid, 'pg_class'),
              'pg_catalog.pg_class'::pg_catalog.regclass, oid
         from pg_catalog.pg_class
        where relnamespace = pg_catalog.to_regnamespace('${STORE_SCHEMA}')
          and relkind not in ('i', 'I')
       union all
       select 'function', proname::text, pg_catalog.obj_description(oid, 'pg_proc'),
              'pg_catalog.pg_proc'::pg_catalog.regclass, oid
         from pg_catalog.pg_proc
        where pronamespace = pg_catalog.to_regnamespace('${STORE_SCHEMA}')
       union all
       select 'type', typname::text, null, 'pg_catalog.pg_type'::pg_catalog.regclass, oid
         from pg_catalog.pg_type
        where typnamespace = pg_catalog.to_regnamespace('${STORE_SCHEMA}')
          and typrelid = 0 and typelem = 0)
     select distinct pg_catalog.concat_ws(' ', kind, name) as object
       from found
      where not exists (select from own where (own.kind, own.name, own.comment)
                                              = (found.kind, found.name, found.comment))
        -- A part of another object, such as the sequence of an identity column, is found with its whole.
        and not exists (select from pg_catalog.pg_depend
                         where (pg_depend.classid, pg_depend.objid) = (found.classid, found.objid)
                           and deptype in ('a', 'i'))
      order by object`,
    [JSON.stringify([...listObjects(script), TEST_DATABASE_TABLE])],
  )
  if (rows.length > 0) throw schemaTakenError(rows.map(({ object }) => object))
}

/** The objects that the script creates in the schema, each with its comment. */
function listObjects(script: string) {
  const comment = /^comment on (\w+) provisioning\.(\w+)(?:\(.*?\))? is\s+'((?:[^']|'')*)';$/gm
  return [...script.matchAll(comment)].map(([, kind, name, text]) => ({
    kind,
    name,
    comment: text?.replaceAll("''", "'"),
  }))
}

function schemaTakenError(objects: readonly string[]): ServiceError {
  return new ServiceError(
    'reset_schema_taken',
    `a reset needs the schema ${STORE_SCHEMA} for itself, and it holds objects that this service did not make: ` +
      `${objects.slice(0, 5).join(', ')}${objects.length > 5 ? ` and ${objects.length - 5} more` : ''}; ` +
      'they were left as they are: move them to another schema, or set RESET_ENABLED=false',
    { extensions: { objects } },
  )
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
