import { offsetOf, type ParsedStatement } from '../text/migration-text.ts'
import { typeOf } from '../text/places.ts'
import { type Members, namesOf, visitTree } from '../text/tree.ts'
import type { Rule } from './rule.ts'

/** The migration changes its session, and would change what follows in it. */
export const sessionState: Rule = {
  name: 'session-state',
  refuses: 'a setting, a role, a temporary table or a lock that the file leaves in its session',
  check({ leftInSession, text }) {
    if (leftInSession.length === 0) return []
    const found = text.statements.flatMap((statement) => {
      const offset = findChange(statement)
      return offset === undefined ? [] : [statement.start + offset]
    })
    return [
      {
        message: `the file leaves ${leftInSession.join(', ')} in its session`,
        remedy:
          'write "set local" (or set_config with true), and drop what is temporary: the service runs each file in a ' +
          'session of its own, but graphile-migrate runs the next file in the same one',
        place: found[0] === undefined ? undefined : text.placeAt(found[0]),
      },
    ]
  },
}

/** Where a statement changes its session, from its beginning. */
function findChange(statement: ParsedStatement): number | undefined {
  let found: number | undefined
  visitTree(statement.tree, (type, members) => {
    // A function may have settings of its own.
    if (type === 'VariableSetStmt' && typeOf(statement) !== type) return
    if (!changesSession(type, members)) return
    const isCall = type === 'FuncCall' && typeof members.location === 'number'
    found ??= isCall ? offsetOf(statement, members.location as number) - statement.start : 0
  })
  return found
}

function changesSession(type: string, members: Members): boolean {
  switch (type) {
    case 'VariableSetStmt':
      return members.is_local !== true
    case 'PrepareStmt':
    case 'ListenStmt':
    case 'DiscardStmt':
      return true
    case 'RangeVar':
      return members.relpersistence === 't'
    case 'FuncCall':
      return /^(?:set_config|pg_advisory_lock|pg_try_advisory_lock)/.test(
        namesOf(members.funcname).at(-1) ?? '',
      )
    default:
      return false
  }
}
