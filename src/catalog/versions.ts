import { literal } from '../postgres/quote.ts'
import { lines, sql } from '../postgres/sql-text.ts'
import { rowsFingerprintSql } from './fingerprint.ts'
import { STORE_SCHEMA, TOOL_SCHEMA } from './scope.ts'
import { LASTING_ROWS } from './whole-fingerprint.ts'

/** Catalogues that a reset may write, and the column that numbers the objects that their rows are about. */
const DEFINITIONS: Readonly<Record<string, string>> = {
  pg_aggregate: 'aggfnoid',
  pg_attrdef: 'oid',
  pg_attribute: 'attrelid',
  pg_class: 'oid',
  pg_constraint: 'oid',
  pg_depend: 'objid',
  pg_description: 'objoid',
  pg_enum: 'oid',
  pg_index: 'indexrelid',
  pg_inherits: 'inhrelid',
  pg_namespace: 'oid',
  pg_partitioned_table: 'partrelid',
  pg_policy: 'oid',
  pg_proc: 'oid',
  pg_range: 'rngtypid',
  pg_rewrite: 'oid',
  pg_sequence: 'seqrelid',
  pg_trigger: 'oid',
  pg_type: 'oid',
}

/**
 * The transaction that wrote a row, as in `rowsFingerprintSql`. Rows that came with PostgreSQL have one that is
 * older than any other, whose age does not grow with the others'.
 */
const WRITTEN_BY = sql`
  case when age(xmin) = 2147483647 then 0
       else (select age('3'::xid)::bigint) - age(xmin)
  end`

/** PostgreSQL numbers what users make from here on. */
const FIRST_USER_OID = 16_384

/**
 * Selects the catalogues of this database that count: all that have no statistics and can be read. A newer
 * version of PostgreSQL has more of them.
 */
export const CATALOGS_SQL = sql`
  select relname as name
    from pg_catalog.pg_class
   where relnamespace = 'pg_catalog'::pg_catalog.regnamespace
     and relkind = 'r'
     and not relisshared
     and relname not in ('pg_statistic', 'pg_statistic_ext_data')
     and pg_catalog.has_table_privilege(oid, 'select')
   order by relname`

/**
 * Selects the tables that a reset leaves alone: the service's own, the migration tool's, and those of
 * extensions that are not in the baseline.
 */
export const TABLES_BESIDE_SQL = sql`
  select pg_class.oid::pg_catalog.regclass::text as name
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
   where relkind = 'r'
     and nspname !~ '^pg_' and nspname <> 'information_schema'
     and pg_catalog.has_table_privilege(pg_class.oid, 'select')
     and (nspname in (${literal(STORE_SCHEMA)}, ${literal(TOOL_SCHEMA)})
          or exists (select from pg_catalog.pg_depend
                      where classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                        and objid = pg_class.oid and deptype = 'e'))
     and pg_catalog.format('%I.%I', nspname, relname) not in (
           select name from ${STORE_SCHEMA}.baseline_object where kind = 'table')
   order by 1`

/**
 * Selects a number that changes with every row that is written to the catalogues where definitions live,
 * for objects that users made.
 */
export function definitionVersionsSql(catalogs: readonly string[]): string {
  return sumOf(
    catalogs.flatMap((name) => {
      const column = DEFINITIONS[name]
      return column === undefined ? [] : select(name, `${column} >= ${FIRST_USER_OID}`)
    }),
  )
}

/** The same for all other catalogues, and for the objects that came with PostgreSQL. */
export function otherVersionsSql(catalogs: readonly string[]): string {
  return sumOf(
    catalogs.map((name) => {
      const column = DEFINITIONS[name]
      return select(name, column === undefined ? undefined : `${column} < ${FIRST_USER_OID}`)
    }),
  )
}

/** The same for the rows of tables. */
export function tableVersionsSql(tables: readonly string[]): string {
  return sumOf(tables.map((name) => rowsFingerprintSql(`only ${name}`)))
}

function select(catalog: string, range: string | undefined): string {
  const conditions = [range, LASTING_ROWS[catalog]].filter((condition) => condition !== undefined)
  const from = sql`
    select coalesce(sum(hashtidextended(ctid, ${WRITTEN_BY})), 0)
      from pg_catalog.${catalog}`
  if (conditions.length === 0) return from
  return lines(from, ` where ${conditions.join('\n   and ')}`)
}

function sumOf(queries: readonly string[]): string {
  return sql`
    select coalesce(sum(fingerprint), 0)
      from (
        ${queries.length === 0 ? 'select 0' : queries.join('\nunion all\n')}
      ) as part (fingerprint)`
}
