import { escapeIdentifier } from 'pg'
import type { Queryable } from '../../../src/postgres/client.ts'
import { withoutArguments } from '../../words.ts'
import type { RoutineState } from './catalog-state.ts'

/** A way to call a function, as a statement that is prepared and never run. */
export interface Call {
  readonly routine: RoutineState
  /** For people: `commandbus.f(p_domain => text)`. */
  readonly title: string
  readonly sql: string
}

/** A call that PostgreSQL does not accept, with its reason. */
export interface BrokenCall {
  readonly call: Call
  readonly message: string
}

/**
 * Lists how clients may call a function: with all arguments or without those that have defaults, by position or by name,
 * and by position with values of an unknown type, as drivers send them.
 */
export function listCalls(routine: RoutineState): Call[] {
  const { schema, ownName, inputNames, inputTypes, inputDefaults, isProcedure } = routine
  if (isProcedure || routine.result === 'trigger' || routine.result === 'event_trigger') return []
  const shown = withoutArguments(routine.name)
  const name = `${escapeIdentifier(schema)}.${escapeIdentifier(ownName)}`
  const required = inputDefaults.filter((preset) => preset === null).length
  const counts = [...new Set([inputTypes.length, required])]
  const write = (count: number, value: (index: number) => string) =>
    inputTypes
      .slice(0, count)
      .map((_, index) => value(index))
      .join(', ')
  const make = (title: string, passed: string): Call => ({
    routine,
    title: `${shown}(${title})`,
    sql: `select ${name}(${passed})`,
  })
  const isNamed = inputNames.every((argument) => argument !== '')
  return counts.flatMap((count) => [
    make(
      write(count, (index) => `${inputTypes[index]}`),
      write(count, (index) => `$${index + 1}::${inputTypes[index]}`),
    ),
    make(
      write(count, () => '$'),
      write(count, (index) => `$${index + 1}`),
    ),
    ...(isNamed && count > 0
      ? [
          make(
            write(count, (index) => `${inputNames[index]} => ${inputTypes[index]}`),
            write(
              count,
              (index) =>
                `${escapeIdentifier(inputNames[index] ?? '')} => $${index + 1}::${inputTypes[index]}`,
            ),
          ),
        ]
      : []),
  ])
}

/** Tries which calls PostgreSQL accepts, outside of a transaction, by preparing them. */
export async function findBrokenCalls(
  client: Queryable,
  calls: readonly Call[],
): Promise<BrokenCall[]> {
  const broken: BrokenCall[] = []
  for (const call of calls) {
    try {
      await client.query(`prepare call_of_the_commit as ${call.sql}`)
      await client.query('deallocate call_of_the_commit')
    } catch (error) {
      broken.push({ call, message: (error as Error).message })
    }
  }
  return broken
}
