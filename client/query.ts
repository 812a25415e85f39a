import { toCommandBusError } from './errors.ts'
import type { Procedures } from './schema/commandbus.ts'

/**
 * Whatever can run one statement: a `pg` Pool, a PoolClient inside a transaction, or anything that
 * wraps one (to name prepared statements, to trace, to log). The door needs nothing else of `pg`.
 */
export interface Queryable {
  query(statement: { text: string; values: unknown[] }): Promise<{ rows: unknown[] }>
}

/** Runs one statement; the row type is what its select list says, errors come out named. */
export async function query<Row>(db: Queryable, text: string, values: unknown[]): Promise<Row[]> {
  try {
    const { rows } = await db.query({ text, values })
    return rows as Row[]
  } catch (error) {
    throw toCommandBusError(error, text)
  }
}

/** Runs a statement that returns one row with one column, such as a call of a function. */
export async function queryValue<Value>(
  db: Queryable,
  text: string,
  values: unknown[],
): Promise<Value> {
  const [row] = await query<{ value: Value }>(db, text, values)
  if (row === undefined) throw new TypeError(`expected one row, found none, from: ${text}`)
  return row.value
}

/** jsonb parameters are sent as text: left to itself `pg` makes a PostgreSQL array of an array. */
export function toJson(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value)
}

/** A row of the database as the client returns it: the names of its columns in camel case. */
export type Camel<Row> = {
  readonly [Column in keyof Row as CamelCase<Column & string>]: Row[Column]
}

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name

/** A procedure's call, to stand in a statement, and the statement's values; undefined leaves an argument out. */
export function callOf<Name extends keyof Procedures>(
  name: Name,
  args: Procedures[Name]['arguments'],
): { call: string; values: unknown[] } {
  const given = Object.entries(args).filter(([, value]) => value !== undefined)
  const list = given.map(([argument], index) => `${argument} => $${index + 1}`)
  return { call: `commandbus.${name}(${list.join(', ')})`, values: given.map(([, value]) => value) }
}

/** Calls a procedure that returns one value. */
export function callProcedure<Name extends keyof Procedures>(
  db: Queryable,
  name: Name,
  args: Procedures[Name]['arguments'],
): Promise<Procedures[Name]['result']> {
  const { call, values } = callOf(name, args)
  return queryValue(db, `select ${call} as value`, values)
}
