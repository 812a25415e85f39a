import { sql } from '../postgres/sql-text.ts'
import { objectsSql } from './objects.ts'

/** One object that differs between the catalogue and the stored definitions. */
export interface SchemaDifference {
  readonly change: 'added' | 'changed' | 'taken away'
  readonly kind: string
  readonly name: string
}

export interface DifferencesOptions {
  /** A query for the definitions to compare with: kind, name, definition. */
  readonly stored: string
  readonly hasPgmq: boolean
}

/** Selects every object whose definition is not the stored one, as a SchemaDifference. */
export function differencesSql({ stored, hasPgmq }: DifferencesOptions): string {
  return sql`
    with stored as (
      ${stored}
    ),
    current as (
      (
        ${objectsSql(hasPgmq)}
      )
      ${hasPgmq ? UNLISTED_QUEUES_SQL : ''}
    )
    select case when stored.name is null then 'added'
                when current.name is null then 'taken away'
                else 'changed'
           end as change,
           kind,
           name
      from current
      full join stored using (kind, name)
     where current.definition is distinct from stored.definition
     order by name, kind`
}

/** A queue exists as long as its table does: PGMQ's list of queues is data, and restored as such. */
const UNLISTED_QUEUES_SQL = sql`
  union all
  select kind, name, definition
    from stored
   where kind = 'queue'
     and to_regclass(format('pgmq.%I', lower('q_' || name))) is not null
     and not exists (select from pgmq.meta where queue_name = name)`
