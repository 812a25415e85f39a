import { sql } from '../postgres/sql-text.ts'

/**
 * A number over the versions of rows: where they lie and which transaction wrote them. It stays the
 * same while no row is inserted, updated or deleted. It may change without need (a row that was
 * rewritten), but no change goes unnoticed. Ages are counted from xid 3, since xid has no arithmetic.
 */
export function rowsFingerprintSql(source: string): string {
  return sql`
    select coalesce(sum(${ROW_VERSION}), 0)
      from ${source}`
}

const ROW_VERSION = `hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))`

/** A catalogue, and which of its rows count: all of them where there is no condition. */
interface Source {
  readonly catalog: string
  /** The objects that are not PostgreSQL's own. */
  readonly added?: string
  /** A part of these. */
  readonly only?: string
}

const sumOfFingerprints = (sources: readonly Source[]) => sql`
  select sum(fingerprint)
    from (
      ${sources
        .map(({ catalog, added, only }) => where(rowsFingerprintSql(catalog), added, only))
        .join('\nunion all\n')}
    ) as part (fingerprint)`

function where(select: string, ...conditions: readonly (string | undefined)[]): string {
  const given = conditions.filter((condition) => condition !== undefined)
  if (given.length === 0) return select
  return sql`
    ${select}
     where ${given.join(' and ')}`
}

const OBJECTS: readonly Source[] = [
  // Of every kind, indexes too. ALTER SEQUENCE writes it as well, since it rewrites the sequence.
  { catalog: 'pg_class', added: 'oid >= 16384', only: `relpersistence <> 't'` },
  { catalog: 'pg_enum', added: 'oid >= 16384' },
  // The types of tables and arrays come and go with pg_class, also those of temporary tables.
  { catalog: 'pg_type', added: 'oid >= 16384', only: `typtype in ('d', 'e', 'r')` },
  { catalog: 'pg_constraint', added: 'contypid >= 16384' },
  {
    catalog: 'pg_proc',
    added: 'oid >= 16384',
    only: sql`
      pronamespace <> all (
        array(select oid from pg_namespace where starts_with(nspname, 'pg_temp_')))`,
  },
  // Schema public has a low oid. Rows from the very first transaction always have the same age.
  { catalog: 'pg_namespace', added: `not starts_with(nspname, 'pg_')` },
  { catalog: 'pg_extension' },
]

/**
 * Changes whenever an object is created, renamed, altered or dropped; the parts of relations have a
 * fingerprint of their own. Such a change always writes a row of these catalogues, while VACUUM and
 * ANALYZE update in place.
 */
export const OBJECTS_FINGERPRINT_SQL = sumOfFingerprints(OBJECTS)

/**
 * Changes whenever OBJECTS_FINGERPRINT_SQL does, and with temporary objects as well: there are more rows in
 * it. It takes half the time, since most of that goes into the conditions and the sums, not into the rows.
 */
export const OBJECTS_VERSION_SQL = sql`
  select sum(${ROW_VERSION})
    from (
      ${OBJECTS.map(({ catalog, added }) =>
        where(
          sql`
            select ctid, xmin
              from ${catalog}`,
          added,
        ),
      ).join('\nunion all\n')}
    ) as versions`

/** The same for the parts of relations. A default also writes pg_attribute. */
export const PARTS_FINGERPRINT_SQL = sumOfFingerprints([
  { catalog: 'pg_attribute', added: 'attrelid >= 16384 and attnum > 0' },
  { catalog: 'pg_constraint', added: 'conrelid >= 16384' },
  // An index can become invalid without any change to pg_class.
  { catalog: 'pg_index', added: 'indexrelid >= 16384' },
  { catalog: 'pg_trigger', added: 'oid >= 16384' },
  { catalog: 'pg_rewrite', added: 'oid >= 16384' },
  { catalog: 'pg_policy' },
])
