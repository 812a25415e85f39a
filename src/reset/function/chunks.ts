import type { TablePlan } from './table.ts'

/** By the table's name. */
export type PlanOf = ReadonlyMap<string, TablePlan>

/**
 * What is to be done with tables that are dirty, behind one question for many of them: in a database of a
 * thousand tables most are clean.
 */
export function inCaseOfAny(
  groups: readonly (readonly TablePlan[])[],
  plan: (group: readonly TablePlan[]) => string,
): string {
  return inChunks(groups)
    .map((chunk) => {
      const numbers = chunk.flat().map(({ number }) => number)
      const body = chunk.map(plan).join('')
      const range = `${Math.min(...numbers)}:${Math.max(...numbers)}`
      return body === '' ? '' : `  if true = any (v_dirty[${range}]) then\n${body}  end if;\n`
    })
    .join('')
}

/** So many are named by one statement: a change of any one of them makes its plan anew. */
const CHUNK_SIZE = 16

/** Cuts a list into parts of that size, the last one shorter. */
export function inChunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / CHUNK_SIZE)
  return Array.from({ length: count }, (_, n) => items.slice(n * CHUNK_SIZE, (n + 1) * CHUNK_SIZE))
}
