import type { MigrationText } from './migration-text.ts'
import type { Parser } from './parser.ts'
import { type DefinedRoutine, listDefinedRoutines, offsetOfBodyLine } from './routine-lines.ts'
import { isMembers, type Tree } from './tree.ts'

/** A statement or an expression in the body of a function. */
export interface BodyStatement {
  readonly routine: string
  readonly tree: Tree
  /** The text from the line on which it begins, and where that line begins in the migration. */
  readonly source: string
  readonly offset: number
  /** All of the same body: what one creates, another may use. */
  readonly siblings: readonly Tree[]
}

/** Lists the statements in the bodies of the functions that the migration defines, except those that are texts until run time. */
export function listBodyStatements(text: MigrationText): BodyStatement[] {
  const { parser } = text
  return listDefinedRoutines(text).flatMap((routine) => {
    if (routine.body === undefined) return []
    const found =
      routine.language === 'sql'
        ? [{ tree: parser.parse(routine.body), line: 1 }]
        : routine.language === 'plpgsql'
          ? listQueries(routine, parser)
          : []
    const siblings = found.map(({ tree }) => tree)
    return found.map(({ tree, line }) => {
      const offset = offsetOfBodyLine(routine, line)
      return {
        routine: routine.names.join('.'),
        tree,
        source: text.sql.slice(offset, routine.statement.end),
        offset,
        siblings,
      }
    })
  })
}

interface Query {
  readonly tree: Tree
  readonly line: number
}

function listQueries({ statement, body = '' }: DefinedRoutine, parser: Parser): Query[] {
  const found: Query[] = []
  const collect = (value: unknown, line: number): void => {
    if (Array.isArray(value)) for (const one of value) collect(one, line)
    if (!isMembers(value)) return
    const own = typeof value.lineno === 'number' && value.lineno > 0 ? value.lineno : line
    if (typeof value.query === 'string') {
      found.push({ tree: parseQuery(value.query, Number(value.parseMode), parser), line: own })
    }
    for (const one of Object.values(value)) collect(one, own)
  }
  collect(parser.parseBody(statement.text), 1)
  return found.filter(({ line }) => line <= body.split('\n').length)
}

/** An expression is parsed as what is selected; an assignment without its target. */
function parseQuery(query: string, mode: number, parser: Parser): Tree {
  if (mode === 0) return parser.parse(query)
  const expression = mode >= 3 ? query.replace(/^[^:=]*:?=/, '') : query
  return parser.parse(`select ${expression}`)
}
