import type { Place } from '../../loop/locate.ts'
import { lastName, wordOf } from '../../words.ts'
import type { MigrationText, ParsedStatement } from './migration-text.ts'
import { isMembers } from './tree.ts'

/** Statements that are about an object without defining it. */
const SECONDARY = /^(?:CommentStmt|GrantStmt|DropStmt|AlterOwnerStmt)$/

/**
 * Where the migration defines or changes an object; undefined if no statement has its name. Of several statements, the first
 * that `isLikely` is true of.
 */
export function findPlaceOf(
  text: MigrationText,
  { name, parent }: { readonly name: string; readonly parent?: string | null },
  isLikely: (statement: ParsedStatement) => boolean = (one) => !SECONDARY.test(typeOf(one)),
): Place | undefined {
  const own = lastName(name)
  // A relation has its parts' names in its statements; a schema is often left out.
  const wanted = [...(parent?.includes('.') ? [lastName(parent)] : []), own]
  const statements = text.statements.filter(({ text }) => wanted.every((word) => has(text, word)))
  const statement = statements.find(isLikely) ?? statements[0]
  if (statement === undefined) return undefined
  const offset = wordOf(own, 'i').exec(statement.text)?.index ?? 0
  return text.placeAt(statement.start + offset)
}

/** The type of a statement: `CreateFunctionStmt`. */
export function typeOf({ tree }: ParsedStatement): string {
  const [first] = Array.isArray(tree) ? tree : []
  const stmt = isMembers(first) ? first.stmt : undefined
  return isMembers(stmt) ? (Object.keys(stmt)[0] ?? '') : ''
}

const has = (text: string, word: string) => wordOf(word, 'i').test(text)
