import { sql } from '../postgres/sql-text.ts'

export interface DifferenceOptions {
  /** Queries of kind, name, parent, aspects, classid, objid, objsubid: what was, and what is now. */
  readonly recorded: string
  readonly current: string
  /** A condition: the addresses of both are of the same database, so that a renamed object is found. */
  readonly hasAddresses: string
  /** A condition on kind, recorded and current; what it rejects is no difference. */
  readonly condition: string
  /** Whether what is in a schema that was added or dropped as a whole is listed. */
  readonly listsContentOfSchemas: boolean
  readonly limit: number
}

/**
 * Selects how two sets of objects differ, as ObjectDifference, ordered by name. Not listed are the parts of
 * objects that were added, dropped or renamed as a whole.
 */
export function differenceSql(options: DifferenceOptions): string {
  const { recorded, current, hasAddresses, condition, listsContentOfSchemas, limit } = options
  return sql`
    with recorded as (${recorded}),
    current as materialized (${current}),
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
       where gone.current is null
         and came.recorded is null
         and ${hasAddresses}
    )
    select difference.kind, difference.name, difference.parent, recorded,
           coalesce(difference.current, renamed.current) as current,
           renamed.new_name as "newName"
      from difference
      left join renamed using (kind, name)
     where ${condition}
       and not exists (select from renamed as came
                        where (came.kind, came.new_name) = (difference.kind, difference.name))
       and not exists (select from difference as whole
                        where whole.name = difference.parent
                          ${listsContentOfSchemas ? `and whole.kind <> 'schema'` : ''}
                          and (whole.recorded is null or whole.current is null))
     order by difference.name, difference.kind
     limit ${limit}`
}
