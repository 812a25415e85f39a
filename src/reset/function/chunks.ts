import { lines, sql } from '../../postgres/sql-text.ts'
import type { NumberedTable } from './numbered.ts'

/**
 * How many relations one statement names: enough that there are few statements, and few enough that a
 * change to one relation replans little.
 */
const CHUNK_SIZE = 16

/** Cuts a list into chunks; the last one may be shorter. */
export function inChunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / CHUNK_SIZE)
  return Array.from({ length: count }, (_, n) => items.slice(n * CHUNK_SIZE, (n + 1) * CHUNK_SIZE))
}

/**
 * Statements for groups of tables, with one test of `flags` in front of each chunk: in a database of a
 * thousand tables, most are clean.
 */
export function forEachGroup(
  flags: 'v_dirty' | 'v_restore',
  groups: readonly (readonly NumberedTable[])[],
  statementsOf: (group: readonly NumberedTable[]) => string,
): string {
  const chunks = inChunks(groups).map((chunk) => {
    const statements = lines(...chunk.map(statementsOf))
    if (statements === '') return ''
    const numbers = chunk.flat().map(({ number }) => number)
    return sql`
      if true = any (${flags}[${Math.min(...numbers)}:${Math.max(...numbers)}]) then
        ${statements}
      end if;`
  })
  return lines(...chunks)
}

/** The same for single tables. */
export function forEachTable(
  flags: 'v_dirty' | 'v_restore',
  tables: readonly NumberedTable[],
  statementsOf: (table: NumberedTable) => string,
): string {
  const groups = tables.map((table) => [table])
  return forEachGroup(flags, groups, (group) => lines(...group.map(statementsOf)))
}
