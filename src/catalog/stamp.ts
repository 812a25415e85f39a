import { sql } from '../postgres/sql-text.ts'
import { rowsFingerprintSql } from './fingerprint.ts'

/** The catalogues that definitions are read from, and which of their rows belong to users. */
const SOURCES: readonly (readonly [catalogue: string, condition?: string])[] = [
  ['pg_class', `oid >= 16384 and relpersistence <> 't'`],
  ['pg_attribute', 'attrelid >= 16384'],
  ['pg_attrdef'],
  ['pg_constraint', 'oid >= 16384'],
  ['pg_index', 'indexrelid >= 16384'],
  ['pg_trigger'],
  ['pg_rewrite', 'oid >= 16384'],
  ['pg_policy'],
  ['pg_proc', 'oid >= 16384'],
  ['pg_aggregate', 'aggfnoid >= 16384'],
  ['pg_type', 'oid >= 16384'],
  ['pg_enum'],
  ['pg_range', 'rngtypid >= 16384'],
  ['pg_namespace', `not starts_with(nspname, 'pg_')`],
  ['pg_sequence'],
  ['pg_inherits'],
  ['pg_foreign_table'],
  ['pg_statistic_ext'],
  ['pg_default_acl'],
  ['pg_publication'],
  ['pg_publication_rel'],
  ['pg_publication_namespace'],
]

/**
 * Selects a number that changes whenever a definition does, at a tenth of the cost of reading them: it is
 * made from the versions of the catalogues' rows, and the names of roles. It may change without need.
 */
export const DEFINITIONS_STAMP_SQL = sql`
  select sum(fingerprint)
    from (
      ${SOURCES.map(([catalogue, condition]) =>
        condition === undefined
          ? rowsFingerprintSql(catalogue)
          : sql`
            ${rowsFingerprintSql(catalogue)}
             where ${condition}`,
      ).join('\nunion all\n')}
      union all
      select sum(hashtextextended(rolname, oid::bigint))
        from pg_roles
    ) as part (fingerprint)`
