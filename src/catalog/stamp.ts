import { sql } from '../postgres/sql-text.ts'

/**
 * The catalogues that definitions are read from, and which of their rows belong to users. Left out are those
 * whose rows change with a row of another: pg_attrdef (pg_attribute), pg_aggregate (pg_proc), pg_range (pg_type).
 */
const SOURCES: readonly (readonly [catalogue: string, condition?: string])[] = [
  ['pg_class', `oid >= 16384 and relpersistence <> 't'`],
  ['pg_attribute', 'attrelid >= 16384'],
  ['pg_constraint', 'oid >= 16384'],
  ['pg_index', 'indexrelid >= 16384'],
  ['pg_trigger'],
  ['pg_rewrite', 'oid >= 16384'],
  ['pg_policy'],
  ['pg_type', 'oid >= 16384'],
  ['pg_enum'],
  ['pg_sequence'],
  ['pg_inherits'],
  ['pg_foreign_table'],
  ['pg_statistic_ext'],
  ['pg_default_acl'],
  ['pg_publication'],
  ['pg_publication_rel'],
  ['pg_publication_namespace'],
]

const ROUTINES: readonly (readonly [catalogue: string, condition: string])[] = [
  ['pg_proc', 'oid >= 16384'],
]

/** Not objects of a schema themselves, but definitions mention them, or leave out what an extension has. */
const MENTIONED: readonly (readonly [catalogue: string, condition: string])[] = [
  // No limit on the oid: schema public has a low one.
  ['pg_namespace', `not starts_with(nspname, 'pg_')`],
  ['pg_collation', 'oid >= 16384'],
  ['pg_operator', 'oid >= 16384'],
  ['pg_opclass', 'oid >= 16384'],
  ['pg_foreign_server', 'oid >= 16384'],
  ['pg_depend', `refclassid = 'pg_extension'::regclass`],
]

/** A role has no row of this database, and its row changes with its password. */
const ROLES = 'select hashtextextended(rolname, oid::bigint) from pg_roles'

/**
 * Selects a number that changes whenever a definition does, at a tenth of the cost of reading them: it is
 * made from the versions of the catalogues' rows, and the names of roles. It may change without need.
 */
export const DEFINITIONS_STAMP_SQL = sumOf([...SOURCES, ...ROUTINES, ...MENTIONED], ROLES)

/** The same for the definitions of routines, which change more often than any others. */
export const ROUTINES_STAMP_SQL = sumOf(ROUTINES)

/** The same for all other definitions, and for what those of routines mention. */
export const OTHERS_STAMP_SQL = sumOf([...SOURCES, ...MENTIONED], ROLES)

/** The same for what several objects may mention: after a change, any definition may read differently. */
export const MENTIONED_STAMP_SQL = sumOf(MENTIONED, ROLES)

/**
 * An expression: a number for the version of one row, by where it lies and which transaction wrote it; see
 * `rowsFingerprintSql`. Without a subquery, which would have to be planned for every catalogue.
 */
export function rowVersion(table?: string): string {
  const prefix = table === undefined ? '' : `${table}.`
  return `hashtidextended(${prefix}ctid, age('3'::xid)::bigint - age(${prefix}xmin))`
}

function sumOf(
  sources: readonly (readonly [catalogue: string, condition?: string])[],
  ...others: readonly string[]
): string {
  const rows = sources.map(
    ([catalogue, condition]) =>
      `select ${rowVersion()} from ${catalogue}${condition === undefined ? '' : ` where ${condition}`}`,
  )
  // One sum over all of them is planned in half the time of a sum for each.
  return sql`
    select sum(version)
      from (
        ${[...rows, ...others].join('\nunion all\n')}
      ) as part (version)`
}
