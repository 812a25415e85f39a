import type { Queryable } from '../postgres/client.ts'
import { relationCte } from './scope.ts'

/** One or more foreign keys from one table to another, partitions counted as their root. */
export interface ForeignKey {
  readonly child: string
  readonly parent: string
  readonly isDeferrable: boolean
}

/** Lists the foreign keys between the user's tables. */
export async function listForeignKeys(client: Queryable): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(
    `with ${relationCte()}
     select child.name as child, parent.name as parent, bool_or(condeferrable) as "isDeferrable"
       from pg_constraint
       join relation as child
         on child.oid = coalesce(pg_partition_root(conrelid), conrelid)
       join relation as parent
         on parent.oid = coalesce(pg_partition_root(confrelid), confrelid)
      where contype = 'f'
      group by 1, 2
      order by 1, 2`,
  )
  return rows
}

/**
 * Orders tables so that each group comes after the groups it refers to. A group is one table, or the
 * tables of a circle of foreign keys (Tarjan's strongly connected components, found in this order).
 */
export function groupTables<T extends { readonly name: string }>(
  tables: readonly T[],
  foreignKeys: readonly ForeignKey[],
): T[][] {
  const tableOf = new Map(tables.map((table) => [table.name, table]))
  const parents = new Map<string, string[]>(tables.map(({ name }) => [name, []]))
  for (const { child, parent } of foreignKeys) parents.get(child)?.push(parent)

  const groups: T[][] = []
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
    groups.push(group.flatMap((name) => tableOf.get(name) ?? []))
  }
  const lower = (table: string, to = 0) => lowest.set(table, Math.min(lowest.get(table) ?? 0, to))

  for (const { name } of tables) if (!numbers.has(name)) visit(name)
  return groups
}

/** The table and all tables that refer to it, directly or through others. */
export function withReferrers(table: string, foreignKeys: readonly ForeignKey[]): string[] {
  const found = new Set([table])
  for (const name of found) {
    for (const { child, parent } of foreignKeys) if (parent === name) found.add(child)
  }
  return [...found]
}
