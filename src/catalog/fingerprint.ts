import { sql } from '../postgres/sql-text.ts'

/**
 * A number over the versions of rows: where they lie and which transaction wrote them. It stays the
 * same while no row is inserted, updated or deleted. It may change without need (a row that was
 * rewritten), but no change goes unnoticed. Ages are counted from xid 3, since xid has no arithmetic.
 */
export function rowsFingerprintSql(source: string): string {
  return sql`
    select coalesce(sum(hashtidextended(ctid, (select age('3'::xid)::bigint) - age(xmin))), 0)
      from ${source}`
}

/** A catalogue, and which of its rows count: all of them where there is no condition. */
type Source = readonly [catalog: string, condition?: string]

const sumOfFingerprints = (sources: readonly Source[]) => sql`
  select sum(fingerprint)
    from (
      ${sources.map(fingerprintOf).join('\nunion all\n')}
    ) as part (fingerprint)`

function fingerprintOf([catalog, condition]: Source): string {
  return condition === undefined
    ? rowsFingerprintSql(catalog)
    : sql`
      ${rowsFingerprintSql(catalog)}
       where ${condition}`
}

/**
 * Changes whenever an object is created, renamed, altered or dropped; the parts of relations have a
 * fingerprint of their own. Such a change always writes a row of these catalogues, while VACUUM and
 * ANALYZE update in place.
 */
export const OBJECTS_FINGERPRINT_SQL = sumOfFingerprints([
  // Of every kind, indexes too. ALTER SEQUENCE writes it as well, since it rewrites the sequence.
  ['pg_class', `oid >= 16384 and relpersistence <> 't'`],
  ['pg_enum', 'oid >= 16384'],
  // The types of tables and arrays come and go with pg_class, also those of temporary tables.
  ['pg_type', `oid >= 16384 and typtype in ('d', 'e', 'r')`],
  ['pg_constraint', 'contypid >= 16384'],
  [
    'pg_proc',
    sql`
      oid >= 16384 and pronamespace <> all (
        array(select oid from pg_namespace where starts_with(nspname, 'pg_temp_')))`,
  ],
  // No limit on the oid: schema public has a low one.
  ['pg_namespace', `not starts_with(nspname, 'pg_')`],
  ['pg_extension'],
])

/** The same for the parts of relations. A default also writes pg_attribute. */
export const PARTS_FINGERPRINT_SQL = sumOfFingerprints([
  ['pg_attribute', 'attrelid >= 16384 and attnum > 0'],
  ['pg_constraint', 'conrelid >= 16384'],
  // An index can become invalid without any change to pg_class.
  ['pg_index', 'indexrelid >= 16384'],
  ['pg_trigger', 'oid >= 16384'],
  ['pg_rewrite', 'oid >= 16384'],
  ['pg_policy'],
])
