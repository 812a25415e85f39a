/** A node of PostgreSQL's parse tree, as libpg-query writes it: `{ RangeVar: { relname: 't', … } }`. */
export type Tree = unknown

/** The members of a node. */
export type Members = Readonly<Record<string, unknown>>

/**
 * Calls `visit` with the type and the members of every node of a tree. Nodes that PostgreSQL's grammar holds directly, and
 * which libpg-query writes without their type, are given the type that their member's name implies.
 */
export function visitTree(tree: Tree, visit: (type: string, members: Members) => void): void {
  if (Array.isArray(tree)) {
    for (const one of tree) visitTree(one, visit)
    return
  }
  if (!isMembers(tree)) return
  for (const [name, value] of Object.entries(tree)) {
    const type = typeOf(name)
    if (type !== undefined && isMembers(value)) visit(type, value)
    visitTree(value, visit)
  }
}

/** Members whose node has a type that is not written. */
const IMPLIED: Readonly<Record<string, string>> = {
  ...{ relation: 'RangeVar', view: 'RangeVar', sequence: 'RangeVar', rel: 'RangeVar' },
  ...{ pktable: 'RangeVar', typevar: 'RangeVar', constrrel: 'RangeVar', inRelation: 'RangeVar' },
  ...{ typeName: 'TypeName', argType: 'TypeName', returnType: 'TypeName', funccall: 'FuncCall' },
  ...{ ofTypename: 'TypeName', func: 'ObjectWithArgs' },
}

function typeOf(name: string): string | undefined {
  return /^[A-Z]/.test(name) ? name : IMPLIED[name]
}

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The texts of a list of names: `[{ String: { sval: 'a' } }]`. */
export function namesOf(list: unknown): string[] {
  if (!Array.isArray(list)) return []
  return list.map((one) => {
    const name = isMembers(one) && isMembers(one.String) ? one.String.sval : undefined
    return typeof name === 'string' ? name : ''
  })
}
