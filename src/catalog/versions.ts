import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'
import { STORE_SCHEMA, TOOL_SCHEMA } from './scope.ts'
import { LASTING_ROWS } from './whole-fingerprint.ts'

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
 * Selects a text that changes with every row that another session writes to these catalogues. What sessions
 * leave behind in temporary schemas counts, and is gone when they have ended; the schemas stay, and do not.
 */
export function catalogVersionsSql(catalogs: readonly string[]): string {
  return versionsOf(
    catalogs.map((name) =>
      name === 'pg_namespace'
        ? `pg_catalog.pg_namespace where ${LASTING_ROWS.pg_namespace}`
        : `pg_catalog.${name}`,
    ),
  )
}

/** The same for the rows of tables. */
export function tableVersionsSql(tables: readonly string[]): string {
  return versionsOf(tables.map((name) => `only ${name}`))
}

/**
 * How many rows there are, and which transaction wrote the youngest. Both are the same again only if no row
 * is another one, provided that no transaction was open when they were first read: each row written since has
 * a younger transaction than any from then, and if there is none, then a row that is missing is not made up
 * for. It costs half of what a hash of all row versions does.
 *
 * Ages of less than zero belong to frozen rows that are older than PostgreSQL can count. The operation with
 * the sign bit makes them the oldest of all.
 */
function versionsOf(sources: readonly string[]): string {
  if (sources.length === 0) return `''`
  const parts = sources.map(
    (source) => sql`
      select count(*), min(age(xmin) # ${SIGN_BIT})
        from ${source}`,
  )
  return sql`
    select concat(sum(row_count), ' ', age('3'::xid)::bigint - min(age))
      from (
        ${parts.join('\nunion all\n')}
      ) as part (row_count, age)`
}

const SIGN_BIT = '(-2147483648)'
