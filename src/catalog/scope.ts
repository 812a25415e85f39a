import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'

/** The service's own schema: the baseline, and the row that marks a database disposable. */
export const STORE_SCHEMA = 'provisioning'

/** The migration tool's schema: its record is history, not data. */
export const TOOL_SCHEMA = 'graphile_migrate'

/*
 * The SQL in this folder takes names as arguments or as its own constants, never from a request. Text
 * that PostgreSQL renders (`regclass`, definitions) depends on search_path: run what compares such text
 * under `pg_catalog, pg_temp`.
 */

/** True for PostgreSQL's own schemas, temporary ones included; `name` is an expression. */
export function isSystemSchema(name: string): string {
  return `(${name} ~ '^pg_' or ${name} = 'information_schema')`
}

/** Schemas that other tools made in our database, by the names that the catalogue has. */
export interface OtherSchemas {
  /** Never compared nor touched. */
  readonly ignored: readonly string[]
  /** Emptied, and never compared. */
  readonly emptied: readonly string[]
}

export const NO_OTHER_SCHEMAS: OtherSchemas = { ignored: [], emptied: [] }

/** The schemas that are not compared. */
export function notCompared({ ignored, emptied }: OtherSchemas): readonly string[] {
  return [...ignored, ...emptied]
}

/** True for one of these schemas; `name` is an expression. */
export function isOneOf(name: string, schemas: readonly string[]): string {
  return schemas.length === 0 ? 'false' : `${name} in (${schemas.map(literal).join(', ')})`
}

/**
 * True for every schema that is neither PostgreSQL's nor the service's nor the migration tool's, and not
 * one of `leftOut`.
 */
export function isUserSchema(name: string, leftOut: readonly string[] = []): string {
  return sql`
    (not ${isSystemSchema(name)}
     and ${name} not in (${[STORE_SCHEMA, TOOL_SCHEMA, ...leftOut].map(literal).join(', ')}))`
}

/** True for an object that an extension owns; `oid` is an expression. */
export function isExtensionMember(catalog: string, oid: string): string {
  return sql`
    exists (
      select from pg_catalog.pg_depend
       where classid = 'pg_catalog.${catalog}'::pg_catalog.regclass
         and objid = ${oid}
         and deptype = 'e')`
}

/** A condition on pg_namespace: the schemas of the user's, without PGMQ's. */
export const USER_SCHEMAS = sql`
  ${isUserSchema('nspname')}
  and nspname <> 'pgmq'
  and not ${isExtensionMember('pg_namespace', 'pg_namespace.oid')}`

export interface RelationOptions {
  /** Schemas whose relations are left out. */
  readonly leftOut?: readonly string[]
  /** Another condition, on pg_class and pg_namespace. */
  readonly where?: string
}

/**
 * A common table expression `relation`: the user's tables, views, sequences and composite types, each
 * with its quoted and qualified `name`. An extension's are left out, except for PGMQ's queues and for
 * tables that the extension declares to hold the user's data, if this role may read them; so are the
 * partitions of a queue, which come and go by themselves.
 */
export function relationCte({ leftOut = [], where = '' }: RelationOptions = {}): string {
  const isNoPartOfQueue = `not (nspname = 'pgmq' and relispartition)`
  const conditions = where === '' ? [isNoPartOfQueue] : [isNoPartOfQueue, where]
  return sql`
    relation as materialized (
      select pg_class.*, nspname, format('%I.%I', nspname, relname) as name
        from pg_class
        join pg_namespace on pg_namespace.oid = relnamespace
       where ${isUserSchema('nspname', leftOut)}
         and relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
         and relpersistence <> 't'
         and (nspname = 'pgmq' and relkind in ('r', 'p', 'S')
              or not (${isExtensionMember('pg_class', 'pg_class.oid')}
                      -- Of a composite type, the type is the member and not the relation behind it.
                      or relkind = 'c'
                     and ${isExtensionMember('pg_type', 'reltype')})
              or ${isExtensionData('pg_class.oid')}
                 and has_table_privilege(pg_class.oid, 'select'))
         ${conditions.map((condition) => `and ${condition}`).join('\n')})`
}

/** True for a table or sequence of an extension that holds the user's data, as the extension itself declares. */
export function isExtensionData(oid: string): string {
  return `${oid} = any (array(select unnest(extconfig) from pg_catalog.pg_extension))`
}
