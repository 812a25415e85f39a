import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'
import { type ObjectsOptions, objectsSql } from './objects.ts'

/** One object that differs between the catalogue and the stored definitions. */
export interface SchemaDifference {
  readonly change: 'added' | 'changed' | 'taken away'
  readonly kind: string
  readonly name: string
}

export interface DifferencesOptions extends ObjectsOptions {
  /** A query for the definitions to compare with: kind, name, definition. */
  readonly stored: string
  readonly hasPgmq: boolean
}

/** Selects every object whose definition is not the stored one, as a SchemaDifference. */
export function differencesSql({ stored, hasPgmq, ...options }: DifferencesOptions): string {
  const { leftOut = [] } = options
  return sql`
    with stored as (
      ${leftOut.length === 0 ? stored : withoutSchemas(stored, leftOut)}
    ),
    current as (
      (
        ${objectsSql(hasPgmq, options)}
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

/** The stored objects that are not in one of these schemas, which may have been stored before it was left out. */
function withoutSchemas(stored: string, schemas: readonly string[]): string {
  return sql`
    select kind, name, definition
      from (
        ${stored}
      ) as stored
     where not ${isObjectIn(schemas)}`
}

/** True for an object in one of these schemas, by its `kind` and its quoted and qualified `name`. */
export function isObjectIn(schemas: readonly string[]): string {
  return sql`
    (kind not in ('extension', 'queue')
     and exists (
           select from unnest(array[${schemas.map(literal).join(', ')}]::text[]) as schema
            where case when kind = 'schema' then name = quote_ident(schema)
                       else starts_with(name, quote_ident(schema) || '.')
                  end))`
}

/** A queue exists as long as its table does: PGMQ's list of queues is data, and restored as such. */
const UNLISTED_QUEUES_SQL = sql`
  union all
  select kind, name, definition
    from stored
   where kind = 'queue'
     and to_regclass(format('pgmq.%I', lower('q_' || name))) is not null
     and not exists (select from pgmq.meta where queue_name = name)`
