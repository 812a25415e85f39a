import { createHash } from 'node:crypto'
import type { Queryable } from '../postgres/client.ts'
import { isBlocked, sqlstateOf } from '../postgres/errors.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import type { AppliedMigration } from './history.ts'

/** The history that a database must have, as one short text: it is compared twice a second. */
export interface ExpectedHistory {
  readonly count: number
  readonly fingerprint: string
}

export function expectHistory(
  applied: readonly Pick<AppliedMigration, 'recordedAs' | 'hash'>[],
): ExpectedHistory {
  const text = applied.map(({ recordedAs, hash }) => `${recordedAs} ${hash}\n`).join('')
  return { count: applied.length, fingerprint: createHash('sha256').update(text).digest('hex') }
}

/**
 * Says how the history in the database differs from what is expected of its beginning; undefined if it
 * does not. A newer version may have applied more. `locked` if another session keeps it from being read.
 */
export async function findHistoryProblem(
  client: Queryable,
  { count, fingerprint }: ExpectedHistory,
): Promise<string | undefined | 'locked'> {
  if (count === 0) return undefined
  const found = await readBeginning(client, count)
  if (found === 'locked') return found
  if (found.fingerprint === fingerprint) return undefined
  return found.count < count
    ? `the database has ${found.count} of ${count} migrations: another service may be rebuilding it; ` +
        'if not, restart this service to apply them'
    : 'the database has other migrations than those that were applied to it: restart the service'
}

async function readBeginning(
  client: Queryable,
  count: number,
): Promise<ExpectedHistory | 'locked'> {
  try {
    const { rows } = await client.query<ExpectedHistory>(
      `select pg_catalog.count(*)::integer as count,
              pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(pg_catalog.string_agg(
                filename || ' ' || hash || e'\\n', '' order by pg_catalog.length(filename), filename
              ), ''), 'UTF8')), 'hex') as fingerprint
         from (select filename, hash from graphile_migrate.migrations
                order by pg_catalog.length(filename), filename
                limit $1) as beginning`,
      [count],
    )
    return rows[0] ?? { count: 0, fingerprint: '' }
  } catch (error) {
    if (isBlocked(error)) return 'locked'
    const sqlstate = sqlstateOf(error)
    if (sqlstate !== SQLSTATE.undefinedTable && sqlstate !== SQLSTATE.invalidSchemaName) throw error
    return { count: 0, fingerprint: '' }
  }
}
