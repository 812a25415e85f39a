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

/** True for every schema that is neither PostgreSQL's nor the service's nor the migration tool's. */
export function isUserSchema(name: string): string {
  return sql`
    (not ${isSystemSchema(name)}
     and ${name} not in ('${STORE_SCHEMA}', '${TOOL_SCHEMA}'))`
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

/**
 * A common table expression `relation`: the user's tables, views, sequences and composite types, each
 * with its quoted and qualified `name`. An extension's are left out, except for PGMQ's queues; so are
 * the partitions of a queue, which come and go by themselves.
 */
export const RELATION_CTE = sql`
  relation as materialized (
    select pg_class.*, nspname, format('%I.%I', nspname, relname) as name
      from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
     where ${isUserSchema('nspname')}
       and relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
       and relpersistence <> 't'
       and (nspname = 'pgmq' and relkind in ('r', 'p', 'S')
            or not (${isExtensionMember('pg_class', 'pg_class.oid')}
                    -- Of a composite type, the type is the member and not the relation behind it.
                    or relkind = 'c'
                   and ${isExtensionMember('pg_type', 'reltype')}))
       and not (nspname = 'pgmq' and relispartition))`
