import { offsetOfLine } from '../../../src/migrations/files/lines.ts'
import type { Place } from '../../loop/locate.ts'
import type { MigrationText, ParsedStatement } from './migration-text.ts'
import { isMembers, type Members, namesOf, visitTree } from './tree.ts'

/** A function that the migration defines, with its source. */
export interface DefinedRoutine {
  readonly statement: ParsedStatement
  /** As written: with or without the schema. */
  readonly names: readonly string[]
  readonly language: string
  /** Undefined if it is not a string: `begin atomic … end`. */
  readonly body: string | undefined
  /** Where the body begins in the statement. */
  readonly bodyOffset: number
}

/** Lists the functions that the migration defines. */
export function listDefinedRoutines(text: MigrationText): DefinedRoutine[] {
  return text.statements.flatMap((statement) => {
    const found: DefinedRoutine[] = []
    visitTree(statement.tree, (type, members) => {
      if (type === 'CreateFunctionStmt') found.push(describe(statement, members))
    })
    return found
  })
}

function describe(statement: ParsedStatement, members: Members): DefinedRoutine {
  const options = Array.isArray(members.options) ? members.options : []
  const optionOf = (wanted: string) => {
    const option = options
      .map((one) => (isMembers(one) && isMembers(one.DefElem) ? one.DefElem : {}))
      .find(({ defname }) => defname === wanted)
    return option?.arg
  }
  const body = textsOf(optionOf('as'))[0]
  const bodyOffset = body === undefined ? 0 : Math.max(0, statement.text.indexOf(body))
  return {
    statement,
    names: namesOf(members.funcname),
    language: (textsOf(optionOf('language'))[0] ?? 'sql').toLowerCase(),
    body,
    bodyOffset,
  }
}

function textsOf(value: unknown): string[] {
  if (!isMembers(value)) return []
  const list = isMembers(value.List) ? value.List.items : [value]
  return namesOf(list)
}

/** Where a line of a function's body is in the migration; undefined if the migration does not define the function. */
export function findLineOfRoutine(
  text: MigrationText,
  { schema, routine, line }: { schema: string; routine: string; line: number },
): Place | undefined {
  const defined = listDefinedRoutines(text).findLast(
    ({ names }) => names.at(-1) === routine && (names.length === 1 || names[0] === schema),
  )
  if (defined?.body === undefined) return undefined
  const place = text.placeAt(offsetOfBodyLine(defined, line))
  return place && { ...place, column: undefined }
}

/** Where a line of the body begins in the migration; 1 is the line of the quote that opens it. */
export function offsetOfBodyLine(
  { statement, body = '', bodyOffset }: DefinedRoutine,
  line: number,
): number {
  return statement.start + bodyOffset + offsetOfLine(body, line - 1)
}
