import type { Client } from 'pg'
import {
  isOneOf,
  notCompared,
  type OtherSchemas,
  relationCte,
  STORE_SCHEMA,
} from '../catalog/scope.ts'
import { wrongSettingsError } from '../errors/wrong-settings.ts'
import type { Log } from '../logger.ts'
import { sqlstateOf } from '../postgres/errors.ts'
import { sql } from '../postgres/sql-text.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import { listCatalogued } from './catalogued.ts'
import { ignoredObjectsDependError } from './errors.ts'

/**
 * Throws if a schema that a setting gives to another tool has objects of the migrations: those whose
 * catalogue row was written by the transaction that also recorded a migration.
 */
export async function assertOfOtherTools(client: Client, others: OtherSchemas): Promise<void> {
  const schemas = notCompared(others)
  if (schemas.length === 0) return
  const { rows } = await client.query<{ schema: string; object: string; filename: string }>(
    `select distinct on (nspname) nspname::text as schema, filename,
            pg_describe_object(classid, objid, 0) as object
       from (select 'pg_namespace'::regclass, oid, oid, xmin from pg_namespace
              union all
             select 'pg_class'::regclass, oid, relnamespace, xmin from pg_class where relkind not in ('i', 'I')
              union all
             select 'pg_proc'::regclass, oid, pronamespace, xmin from pg_proc)
            as made (classid, objid, namespace, xmin)
       join pg_namespace on pg_namespace.oid = namespace
       join graphile_migrate.migrations on migrations.xmin = made.xmin
      where ${isOneOf('nspname', schemas)}
      order by nspname, objid`,
  )
  if (rows.length === 0) return
  throw wrongSettingsError(
    rows.map(({ schema, object, filename }) => ({
      name: others.ignored.includes(schema) ? 'RESET_IGNORE_SCHEMAS' : 'RESET_EMPTY_SCHEMAS',
      given: JSON.stringify(schema),
      expected: `a schema that another tool made; migration ${filename} made ${object}`,
    })),
  )
}

/** Warns of names that no schema has: they may be misspelt, or their tool has yet to run. */
export async function warnOfMissingSchemas(
  client: Client,
  { ignored, emptied }: OtherSchemas,
  log: Log,
): Promise<void> {
  for (const [setting, names] of Object.entries({
    RESET_IGNORE_SCHEMAS: ignored,
    RESET_EMPTY_SCHEMAS: emptied,
  })) {
    if (names.length === 0) continue
    const { rows } = await client.query<{ name: string }>(
      `select name from unnest($1::text[]) as name
        where not exists (select from pg_namespace where nspname = name)`,
      [names],
    )
    if (rows.length === 0) continue
    const missing = rows.map(({ name }) => JSON.stringify(name)).join(', ')
    log.warn(
      `${setting}: there is no schema ${missing} yet; check the spelling, unless its tool makes it later`,
    )
  }
}

/**
 * Finds what the schemas of other tools have that would go if everything else were dropped, such as a view of
 * one of our tables; each as PostgreSQL describes it.
 */
export async function listDependents(client: Client, others: OtherSchemas): Promise<string[]> {
  if (notCompared(others).length === 0) return []
  const { rows } = await client.query<{ object: string }>(
    `with recursive ${othersCtes(await listCatalogued(client), others)}
     select distinct regexp_replace(pg_describe_object(classid, objid, objsubid), '^rule "?_RETURN"? on ', '')
                     || ' (depends on ' || pg_describe_object(refclassid, refobjid, refobjsubid) || ')' as object
       from pg_depend
      where (classid, objid) in (select classid, objid from of_others)
        and refobjid >= 16384
        and deptype in ('n', 'a', 'i', 'P', 'S')
        and (refclassid, refobjid) not in (select classid, objid from of_others)
        and refclassid <> 'pg_extension'::regclass
        and not exists (select from pg_depend as membership
                         where (membership.classid, membership.objid) = (pg_depend.refclassid, pg_depend.refobjid)
                           and membership.deptype = 'e')
        and not exists (select from pg_identify_object(refclassid, refobjid, 0)
                         where schema = '${STORE_SCHEMA}'
                            -- PGMQ stays, but for its queues.
                            or schema = 'pgmq' and name !~ '^"?[aq]_')
      order by object`,
  )
  return rows.map(({ object }) => object)
}

/**
 * The common table expression `of_others`: everything in the schemas of other tools, the parts of their
 * relations, and what stands beside the schemas and needs them. For a query that begins with `with recursive`.
 */
export function othersCtes(catalogued: string, others: OtherSchemas): string {
  const schemas = notCompared(others)
  if (schemas.length === 0) {
    return 'of_others (classid, objid) as (select null::oid, null::oid where false)'
  }
  return sql`
    of_others (classid, objid) as (
      select classid, objid
        from (
          select 'pg_namespace'::regclass::oid as classid, oid as objid
            from pg_namespace
           where ${isOneOf('nspname', schemas)}
           union
          select classid, objid
            from (
              ${catalogued}
            ) as found (classid, objid)
           cross join pg_identify_object(classid, objid, 0)
           where schema in (select quote_ident(nspname) from pg_namespace where ${isOneOf('nspname', schemas)})
        ) as contained
      union
      select pg_depend.classid, pg_depend.objid
        from of_others
        join pg_depend on (refclassid, refobjid) = (of_others.classid, of_others.objid)
       where deptype in ('a', 'i', 'S')
             and pg_depend.classid in ('pg_rewrite'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass,
                                       'pg_trigger'::regclass, 'pg_policy'::regclass)
          or pg_depend.classid in ('pg_event_trigger'::regclass, 'pg_cast'::regclass, 'pg_transform'::regclass))`
}

/** Empties the tables and restarts the sequences of the schemas to be emptied. */
export async function emptySchemas(client: Client, { emptied }: OtherSchemas): Promise<void> {
  if (emptied.length === 0) return
  const { rows } = await client.query<{ name: string; isSequence: boolean }>(
    `with ${relationCte({ where: isOneOf('nspname', emptied) })}
     select name, relkind = 'S' as "isSequence"
       from relation
      where relkind in ('r', 'p', 'S') and not relispartition
      order by name`,
  )
  const names = (isSequence: boolean) =>
    rows.filter((row) => row.isSequence === isSequence).map(({ name }) => name)
  const [tables, sequences] = [names(false), names(true)]
  try {
    if (tables.length > 0) await client.query(`truncate ${tables.join(', ')}`)
    for (const sequence of sequences) await client.query(`alter sequence ${sequence} restart`)
  } catch (error) {
    // A table of another schema refers to one of these.
    if (sqlstateOf(error) !== SQLSTATE.featureNotSupported) throw error
    throw ignoredObjectsDependError([(error as Error).message])
  }
}
