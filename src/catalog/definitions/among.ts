import { sql } from '../../postgres/sql-text.ts'

/** The parts of an object's name in its definition, as expressions: `qualified` is all of it, `own` a column. */
export interface ObjectName {
  readonly qualified: string
  /** Without the schema, unquoted, and without the arguments of a routine. */
  readonly own: string
}

/** Which objects to read: an expression of type text[], with their names. Where that is null, all of them. */
export interface Chosen {
  readonly names: string
  /** It is never null, so PostgreSQL looks them up by an index. */
  readonly isGiven?: boolean
}

/**
 * True for an object that is chosen. The condition on the column alone leaves few rows for everything else, which
 * is many times as expensive.
 */
export function isAmong(
  { names, isGiven = false }: Chosen,
  { qualified, own }: ObjectName,
): string {
  const ownNames = `array(select (parse_ident(object, false))[2] from unnest(${names}) as object)`
  if (isGiven) return `${own} = any (${ownNames}) and ${qualified} = any (${names})`
  return sql`
    (${names} is null
     or ${own} = any (${ownNames}))
    and (${names} is null or ${qualified} = any (${names}))`
}
