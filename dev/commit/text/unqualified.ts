import type { NameLists } from '../trial/names.ts'
import { isMembers, type Members, namesOf, type Tree, visitTree } from './tree.ts'

export interface Unqualified {
  readonly kind: 'relation' | 'function' | 'type' | 'object'
  readonly name: string
  /** In bytes from the beginning of the statement; undefined where the parser does not say. */
  readonly location: number | undefined
}

/** Nodes that name what they create: the member with its name. */
const CREATED: Readonly<Record<string, readonly [member: string, kind: Unqualified['kind']]>> = {
  CreateFunctionStmt: ['funcname', 'function'],
  CreateTrigStmt: ['funcname', 'function'],
  CreateEnumStmt: ['typeName', 'type'],
  CreateDomainStmt: ['domainname', 'type'],
  CreateRangeStmt: ['typeName', 'type'],
  AlterEnumStmt: ['typeName', 'type'],
  CreateStatsStmt: ['defnames', 'object'],
  DefineStmt: ['defnames', 'object'],
}

/** How many names an object in a list has, with its schema: `drop trigger x on schema.table`. */
const LENGTHS: Readonly<Record<string, number>> = {
  ...{ OBJECT_TABLE: 2, OBJECT_VIEW: 2, OBJECT_MATVIEW: 2, OBJECT_INDEX: 2, OBJECT_SEQUENCE: 2 },
  ...{
    OBJECT_COLUMN: 3,
    OBJECT_TABCONSTRAINT: 3,
    OBJECT_TRIGGER: 3,
    OBJECT_RULE: 3,
    OBJECT_POLICY: 3,
  },
}

/** Finds the names in a statement that have no schema, and are neither PostgreSQL's own nor local to it. */
export function findUnqualified(
  tree: Tree,
  names: NameLists,
  local: ReadonlySet<string>,
): Unqualified[] {
  const found = new Map<string, Unqualified>()
  const isLocal = (name: string) => local.has(name) || names.transitions.has(name)
  const add = (kind: Unqualified['kind'], name: string, location?: unknown) => {
    const at = typeof location === 'number' && location >= 0 ? location : undefined
    found.set(`${kind} ${name}`, found.get(`${kind} ${name}`) ?? { kind, name, location: at })
  }
  visitTree(tree, (type, members) => {
    if (type === 'RangeVar') {
      const { relname, schemaname, location, relpersistence } = members
      if (typeof relname !== 'string' || schemaname !== undefined || relpersistence === 't') return
      if (!names.relations.has(relname) && !isLocal(relname)) add('relation', relname, location)
    } else if (type === 'FuncCall') {
      const [name = '', ...more] = namesOf(members.funcname)
      if (more.length === 0 && !names.functions.has(name)) add('function', name, members.location)
    } else if (type === 'TypeName') {
      addType(members, names, isLocal, add)
    } else if (type === 'ObjectWithArgs') {
      const [name = '', ...more] = namesOf(members.objname)
      const isOperator = !/^\w/.test(name)
      if (more.length === 0 && !isOperator && !names.functions.has(name)) add('function', name)
    } else if (type === 'DropStmt' || type === 'CommentStmt') {
      addListed(type, members, isLocal, add)
    }
    const created = CREATED[type]
    if (created === undefined) return
    const list = namesOf(members[created[0]])
    if (list.length === 1 && list[0] && isNew(type, list[0], names)) add(created[1], list[0])
  })
  return [...found.values()]
}

type Add = (kind: Unqualified['kind'], name: string, location?: unknown) => void

/** A trigger may call one of PostgreSQL's own functions. */
const isNew = (type: string, name: string, names: NameLists) =>
  type !== 'CreateTrigStmt' || !names.functions.has(name)

function addType(
  members: Members,
  names: NameLists,
  isLocal: (name: string) => boolean,
  add: Add,
): void {
  const list = namesOf(members.names)
  const [name = ''] = list
  // `table.column%type`
  if (members.pct_type === true) {
    if (list.length === 2) add('relation', name, members.location)
    return
  }
  if (list.length === 1 && !names.types.has(name) && !isLocal(name)) {
    add('type', name, members.location)
  }
}

function addListed(
  type: string,
  members: Members,
  isLocal: (name: string) => boolean,
  add: Add,
): void {
  const [objects, kind] =
    type === 'DropStmt'
      ? [members.objects, members.removeType]
      : [[members.object], members.objtype]
  const length = LENGTHS[String(kind)]
  if (length === undefined || !Array.isArray(objects)) return
  for (const object of objects) {
    const list = isMembers(object) && isMembers(object.List) ? namesOf(object.List.items) : []
    const name = list.at(length === 2 ? -1 : 0) ?? ''
    if (list.length > 0 && list.length < length && !isLocal(name)) add('relation', name)
  }
}

/** Names that statements define for themselves: of `with`, and of temporary tables. */
export function listLocalNames(trees: readonly Tree[]): Set<string> {
  const found = new Set<string>()
  visitTree(trees as Tree, (type, members) => {
    if (type === 'CommonTableExpr' && typeof members.ctename === 'string')
      found.add(members.ctename)
    if (type === 'RangeVar' && members.relpersistence === 't') found.add(String(members.relname))
  })
  return found
}
