/** One token of SQL. Strings, comments and quoted names are whole, so their semicolons do not count. */
const TOKEN = new RegExp(
  [
    /(?<blank>\s+|--[^\n]*)/u,
    /(?<comment>\/\*)/u,
    /(?<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*")/u,
    /(?<dollar>\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$)/u,
    /(?<word>[\p{L}_][\p{L}\p{N}_$]*)/u,
    /(?<end>;)/u,
    /(?<other>.)/u,
  ]
    .map(({ source }) => source)
    .join('|'),
  'suy',
)

/**
 * Finds where the statement with this index (from 0) begins in a script; undefined if the script has
 * fewer. Empty statements do not count, because PostgreSQL sends no result for them.
 */
export function findStatement(sql: string, index: number): number | undefined {
  let statement = 0
  let isInside = false
  let parentheses = 0
  // SQL-standard function bodies (begin atomic … end) contain semicolons.
  let blocks = 0
  let lastWord = ''

  TOKEN.lastIndex = 0
  for (let at = 0; at < sql.length; at = TOKEN.lastIndex) {
    const { blank, comment, dollar, word, end, other } = TOKEN.exec(sql)?.groups ?? {}
    if (comment !== undefined) TOKEN.lastIndex = endOfComment(sql, at)
    if (blank !== undefined || comment !== undefined) continue
    if (dollar !== undefined) TOKEN.lastIndex = endOf(sql, dollar, at + dollar.length)
    if (end !== undefined && parentheses === 0 && blocks === 0) {
      if (isInside) statement++
      isInside = false
      continue
    }
    if (!isInside && end === undefined) {
      if (statement === index) return at
      isInside = true
    }
    if (other === '(') parentheses++
    if (other === ')') parentheses--
    if (word !== undefined) {
      const lower = word.toLowerCase()
      if (lower === 'atomic' && lastWord === 'begin') blocks++
      else if (lower === 'case' && blocks > 0) blocks++
      else if (lower === 'end' && blocks > 0) blocks--
      lastWord = lower
    }
  }
  return undefined
}

function endOf(sql: string, delimiter: string, from: number): number {
  const found = sql.indexOf(delimiter, from)
  return found === -1 ? sql.length : found + delimiter.length
}

/** Comments nest in PostgreSQL. */
function endOfComment(sql: string, start: number): number {
  const delimiter = /\/\*|\*\//g
  delimiter.lastIndex = start
  for (let depth = 0, match = delimiter.exec(sql); match !== null; match = delimiter.exec(sql)) {
    depth += match[0] === '/*' ? 1 : -1
    if (depth === 0) return delimiter.lastIndex
  }
  return sql.length
}
