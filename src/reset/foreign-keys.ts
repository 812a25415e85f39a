import type { ForeignKey } from './model.ts'

/** Tables that refer to each other in a circle, or one table; parents come before children. */
export type Group = readonly string[]

/**
 * Orders tables so that each group comes after those it refers to (Tarjan's strongly connected
 * components, which come out in just this order).
 */
export function groupTables(
  tables: readonly string[],
  foreignKeys: readonly ForeignKey[],
): Group[] {
  const parents = new Map<string, string[]>(tables.map((table) => [table, []]))
  for (const { child, parent } of foreignKeys) parents.get(child)?.push(parent)

  const groups: Group[] = []
  const numbers = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const onStack = new Set<string>()

  const visit = (table: string) => {
    const number = numbers.size
    numbers.set(table, number)
    lowest.set(table, number)
    stack.push(table)
    onStack.add(table)
    for (const parent of parents.get(table) ?? []) {
      if (!parents.has(parent)) continue
      if (!numbers.has(parent)) {
        visit(parent)
        lower(table, lowest.get(parent))
      } else if (onStack.has(parent)) {
        lower(table, numbers.get(parent))
      }
    }
    if (lowest.get(table) !== number) return
    const group = stack.splice(stack.indexOf(table))
    for (const member of group) onStack.delete(member)
    groups.push(group)
  }
  const lower = (table: string, to = 0) => lowest.set(table, Math.min(lowest.get(table) ?? 0, to))

  for (const table of tables) if (!numbers.has(table)) visit(table)
  return groups
}

/** The table and all that refer to it, directly or by way of others. */
export function withReferrers(table: string, foreignKeys: readonly ForeignKey[]): string[] {
  const found = new Set([table])
  for (const name of found) {
    for (const { child, parent } of foreignKeys) if (parent === name) found.add(child)
  }
  return [...found]
}
