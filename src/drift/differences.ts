import { ALWAYS_READ } from '../catalog/definitions/definitions.ts'
import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'
import type { ObjectDifference } from './describe.ts'
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
  const found = await statements.run<ObjectDifference>(differencesSql, objects)
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

/**
 * Objects whose definitions differ, as ObjectDifference. Not among them: queues and partitions that were
 * added, default privileges of further roles only, and the parts of objects that were added, dropped or renamed as a whole.
 */
const differencesSql = (objects: string) => sql`
  with record as materialized (
    select schemas, roles,
           database_oid = (select oid from pg_database where datname = current_database()) as has_addresses
      from provisioning.recorded_schema
     where moment = 'after'
  ),
  recorded as (
    select *
      from provisioning.recorded_object
     where moment = 'after'
       and (${objects} is null
            or name = any (${objects})
            or parent = any (${objects})
            or kind in (${ALWAYS_READ.map(literal).join(', ')}))
  ),
  -- A schema that was renamed is still the migrations'.
  chosen as materialized (
    select schemas || array(select quote_ident(nspname)
                              from pg_namespace
                              join recorded on recorded.objid = pg_namespace.oid
                                           and recorded.kind = 'schema'
                                           and has_addresses) as schemas,
           roles
      from record
  ),
  current as materialized (
    select definition.*
      from chosen,
           provisioning.read_definitions(chosen.schemas, chosen.roles, ${objects}) as definition
  ),
  difference as materialized (
    select kind, name,
           coalesce(recorded.parent, current.parent) as parent,
           recorded.aspects as recorded,
           current.aspects as current,
           row(recorded.classid, recorded.objid, recorded.objsubid)::text as recorded_address,
           row(current.classid, current.objid, current.objsubid)::text as current_address
      from recorded
      full join current using (kind, name)
     where recorded.aspects is distinct from current.aspects
  ),
  renamed as materialized (
    select gone.kind, gone.name, came.name as new_name, came.current
      from difference as gone
      join difference as came
        on came.kind = gone.kind
       and came.current_address = gone.recorded_address
      join record on has_addresses
     where gone.current is null
       and came.recorded is null
  )
  select difference.kind, difference.name, difference.parent, recorded,
         coalesce(difference.current, renamed.current) as current,
         renamed.new_name as "newName"
    from difference
    left join renamed using (kind, name)
   where not (recorded is null and (kind in ('queue', 'partition') or difference.current = '{}'))
     and not exists (select from renamed as came
                      where (came.kind, came.new_name) = (difference.kind, difference.name))
     and not exists (select from difference as whole
                      where whole.name = difference.parent
                        and (whole.recorded is null or whole.current is null))
   order by difference.name, difference.kind
   limit ${MAX_DIFFERENCES}`
