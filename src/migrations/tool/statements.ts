import { createTokens, type TokenKind, type TokenOptions, type Tokens } from './tokens.ts'

/** A statement of a script. */
export interface Statement {
  /** From its first token to its semicolon, in the script. */
  readonly start: number
  readonly end: number
  /** Its first tokens at most: words in lower case, `'` for a string, `"` for a quoted name. */
  readonly beginning: readonly string[]
  /** It is a `copy` that sends its rows to the client or receives them from it. */
  readonly copiesThroughClient: boolean
  /** It is not SQL but a command of psql: `\connect`. */
  readonly isPsqlCommand: boolean
}

const MAX_BEGINNING = 4

/** Reads the statements of a script that comes in pieces. */
export interface StatementReader {
  /** Reads the next piece; returns false if no other is needed. */
  read(piece: string): boolean
  /** Says that the script ends here. */
  finish(): void
}

/**
 * Visits the statements of a script in order, until `visit` returns true. Empty statements do not count,
 * because PostgreSQL sends no result for them.
 */
export function visitStatements(
  sql: string,
  visit: (statement: Statement) => boolean,
  options?: TokenOptions,
): void {
  const reader = createStatementReader(visit, options)
  if (reader.read(sql)) reader.finish()
}

/** Creates a reader that visits statements as `visitStatements` does. */
export function createStatementReader(
  visit: (statement: Statement) => boolean,
  options?: TokenOptions,
): StatementReader {
  const tokens = createTokens(options)
  let start: number | undefined
  let beginning: string[] = []
  let parentheses = 0
  // The bodies of SQL-standard functions (begin atomic … end) contain semicolons.
  let blocks = 0
  let last = ''
  let copiesThroughClient = false

  const complete = (end: number): boolean => {
    if (start === undefined) return false
    const statement = { start, end, beginning, copiesThroughClient, isPsqlCommand: false }
    start = undefined
    beginning = []
    parentheses = 0
    blocks = 0
    last = ''
    copiesThroughClient = false
    return visit(statement)
  }

  /** Returns true if no more is to be read. */
  const take = (kind: TokenKind): boolean => {
    if (kind === 'end') return parentheses === 0 && blocks === 0 && complete(tokens.start)
    if (kind === 'backslash') {
      const psql = { start: tokens.start, end: tokens.end, isPsqlCommand: true }
      if (visit({ ...psql, beginning: [], copiesThroughClient: false })) return true
    }
    start ??= tokens.start
    if (kind === 'open') parentheses++
    // A stray one is a syntax error, and must not hide what follows.
    else if (kind === 'close') parentheses = Math.max(0, parentheses - 1)
    const isFirst = beginning.length < MAX_BEGINNING
    const isCreate = beginning[0] === 'create'
    // Only the beginning, functions and copies are read word by word.
    if (!isFirst && !isCreate && beginning[0] !== 'copy') return false
    const word = describe(kind, tokens)
    if (isFirst) beginning.push(word)
    if (beginning[0] === 'copy' && parentheses === 0 && /^(?:from|to)$/.test(last)) {
      copiesThroughClient ||= word === 'stdin' || word === 'stdout'
    }
    // As a column's name (`as end`, `x.end`) it ends nothing.
    if (isCreate && last !== 'as' && last !== '.') {
      if (word === 'atomic' && last === 'begin') blocks++
      else if (word === 'case' && blocks > 0) blocks++
      else if (word === 'end' && blocks > 0) blocks--
    }
    last = word
    return false
  }

  const readTokens = (): boolean => {
    for (let kind = tokens.next(); kind !== undefined; kind = tokens.next()) {
      if (take(kind)) return false
    }
    return true
  }

  let length = 0
  return {
    read(piece) {
      length += piece.length
      tokens.add(piece)
      return readTokens()
    },
    finish() {
      tokens.close()
      if (readTokens()) complete(length)
    },
  }
}

/** Finds where the statement with this index (from 0) begins; undefined if the script has fewer. */
export function findStatement(
  sql: string,
  index: number,
  options?: TokenOptions,
): number | undefined {
  const finder = createStatementFinder(index, options)
  if (finder.read(sql)) finder.finish()
  return finder.start
}

/** Creates a reader that finds a statement as `findStatement` does. */
export function createStatementFinder(
  index: number,
  options?: TokenOptions,
): StatementReader & { readonly start: number | undefined } {
  let start: number | undefined
  let count = 0
  const reader = createStatementReader((statement) => {
    if (statement.isPsqlCommand || count++ < index) return false
    start = statement.start
    return true
  }, options)
  return {
    ...reader,
    get start() {
      return start
    },
  }
}

function describe(kind: TokenKind, tokens: Tokens): string {
  if (kind === 'word') return tokens.text().slice(0, 20).toLowerCase()
  if (kind === 'string') return "'"
  if (kind === 'name') return '"'
  return tokens.text()
}
