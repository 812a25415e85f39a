import { sql } from '../../postgres/sql-text.ts'

/** The parts of an object's name in its definition, as expressions: `qualified` is all of it, `own` a column. */
export interface ObjectName {
  readonly qualified: string
  /** Without the schema, unquoted, and without the arguments of a routine. */
  readonly own: string
}

/**
 * True for an object whose name is in `objects` (an expression: text[]), or where that is null. The condition on
 * the column alone leaves few rows for everything else, which is many times as expensive.
 */
export function isAmong(objects: string, { qualified, own }: ObjectName): string {
  return sql`
    (${objects} is null
     or ${own} = any (array(select (parse_ident(object, false))[2] from unnest(${objects}) as object)))
    and (${objects} is null or ${qualified} = any (${objects}))`
}
