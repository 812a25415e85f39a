import { ALWAYS_READ, definitionsSql } from '../catalog/definitions/definitions.ts'
import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'
import { isAsCommittedSql } from './current-changes.ts'
import type { ObjectDifference } from './describe.ts'
import { differenceSql } from './difference-sql.ts'
import type { Statements } from './statements.ts'

/** More differences than anybody reads; the first ones tell enough. */
export const MAX_DIFFERENCES = 500

/**
 * Reads where the schema differs from the recorded one, ordered by name: all of it, or only these relations,
 * routines and types, and what is neither. Rejects with `lock_not_available` after 50 ms of waiting for a lock.
 */
export async function readDifferences(
  statements: Statements,
  objects?: readonly string[],
): Promise<ObjectDifference[]> {
  const found =
    objects === undefined
      ? await statements.run<ObjectDifference>(allDifferencesSql)
      : await statements.run<ObjectDifference>(differencesOfSql, objects)
  return found.toSorted(byName)
}

/** Orders by name, and by kind where two have the same. */
export function byName(one: ObjectDifference, other: ObjectDifference): number {
  return compareText(one.name, other.name) || compareText(one.kind, other.kind)
}

function compareText(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}

const allDifferencesSql = () =>
  differencesSql({
    recorded: 'true',
    current: sql`
      select definition.*
        from ${CHOSEN} as chosen,
             provisioning.read_definitions(chosen.schemas, chosen.roles, null) as definition`,
  })

/** Without the function, whose plan has to fit all objects, too: it reads all of pg_proc for one. */
const differencesOfSql = (objects: string) =>
  differencesSql({
    recorded: sql`
      (name = any (${objects})
       or parent = any (${objects})
       or kind in (${ALWAYS_READ.map(literal).join(', ')}))`,
    current: sql`
      with chosen as materialized (select * from ${CHOSEN} as chosen)
      select definition.*
        from (
          ${definitionsSql({
            schemas: '(select schemas from chosen)::text[]',
            roles: '(select roles from chosen)::text[]',
            objects: { names: objects, isGiven: true },
          })}
        ) as definition`,
  })

/**
 * Objects whose definitions differ. Not among them: queues, partitions and PostgreSQL's own schema that were added,
 * default privileges of further roles only; what the uncommitted migration had changed, and is as the committed ones
 * made it again. `recorded` is a condition on what was recorded, `current` selects the definitions of the same objects.
 */
const differencesSql = ({ recorded, current }: { recorded: string; current: string }) =>
  differenceSql({
    recorded: `select * from provisioning.recorded_object where moment = 'after' and ${recorded}`,
    current,
    hasAddresses: `(select has_addresses from ${RECORD})`,
    condition: sql`
      not (recorded is null
           and (kind in ('queue', 'partition')
                or (kind, difference.name) = ('schema', 'public')
                or difference.current = '{}'))
      and not (new_name is null and ${isAsCommittedSql('difference.kind', 'difference.name', 'difference.current')})`,
    listsContentOfSchemas: false,
    limit: MAX_DIFFERENCES,
  })

const RECORD = sql`
  (select schemas, roles,
          database_oid = (select oid from pg_database where datname = current_database()) as has_addresses
     from provisioning.recorded_schema
    where moment = 'after') as record`

/** A schema that was renamed is still the migrations'. */
const CHOSEN = sql`
  (select schemas || array(select quote_ident(nspname)
                             from pg_namespace
                             join provisioning.recorded_object on objid = pg_namespace.oid
                            where moment = 'after'
                              and kind = 'schema'
                              and has_addresses) as schemas,
          roles
     from ${RECORD})`
