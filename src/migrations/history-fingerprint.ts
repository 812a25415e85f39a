import { hash } from 'node:crypto'
import type { Queryable } from '../postgres/client.ts'
import { sqlstateOf } from '../postgres/errors.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'

/** What a fingerprint covers of a migration in the history. */
export interface HistoryRow {
  /** Number and extension, `000001.sql`. */
  readonly recordedAs: string
  readonly hash: string
  readonly previousHash: string | null
}

/** A history as one short text, so that the database sends one row instead of all. */
export interface HistoryFingerprint {
  readonly count: number
  /** SHA-256, in hexadecimal digits. */
  readonly fingerprint: string
}

/** The fingerprint of these rows, oldest first, as `readFingerprint` reads it from a database that has them. */
export function fingerprintHistory(rows: readonly HistoryRow[]): HistoryFingerprint {
  // As JSON, so that no two histories have the same text.
  const text = JSON.stringify(rows.map((row) => [row.recordedAs, row.hash, row.previousHash]))
  return { count: rows.length, fingerprint: hash('sha256', text) }
}

/** Reads the fingerprint of the first `count` migrations, or of all; of none where there is no history. */
export async function readFingerprint(
  client: Queryable,
  count: number | null = null,
): Promise<HistoryFingerprint> {
  try {
    // By bytes, in any database: names are digits.
    const { rows } = await client.query<HistoryFingerprint>(
      `select pg_catalog.count(*)::integer as count,
              pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to('[' || coalesce(pg_catalog.string_agg(
                pg_catalog.array_to_json(array[filename, hash, previous_hash])::text,
                ',' order by pg_catalog.length(filename), filename collate "C"
              ), '') || ']', 'UTF8')), 'hex') as fingerprint
         from (select filename, hash, previous_hash from graphile_migrate.migrations
                order by pg_catalog.length(filename), filename collate "C"
                limit $1) as beginning`,
      [count],
    )
    return rows[0] ?? NONE
  } catch (error) {
    const sqlstate = sqlstateOf(error)
    if (sqlstate !== SQLSTATE.undefinedTable && sqlstate !== SQLSTATE.invalidSchemaName) throw error
    return NONE
  }
}

const NONE: HistoryFingerprint = { count: 0, fingerprint: '' }
