/** What may hold data of a statement, and comments; a text that ends inside one of them counts, too. */
const LITERAL = new RegExp(
  [
    /(?:[eE]'(?:[^'\\]|\\.|'')*|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*)(?:'|$)/u,
    /(?<name>"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*(?!['\p{L}\p{N}_$]))/u,
    /\$(?<tag>(?:[\p{L}_][\p{L}\p{N}_]*)?)\$.*?(?:\$\k<tag>\$|$)/u,
    /--[^\n]*/u,
    /\/\*.*?(?:\*\/|$)/u,
    /\.?\p{N}[\p{L}\p{N}_.]*(?:(?<=[eE])[+-]\p{N}+)?/u,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gsu',
)

/**
 * Replaces every literal and comment of a statement with `?`, so that a log can show what it does without
 * showing data. PostgreSQL truncates the statements of other sessions: what is left open is replaced, too.
 */
export function hideLiterals(sql: string): string {
  return sql.replace(LITERAL, (text, ...rest) => {
    const { name } = rest.at(-1) as { name?: string }
    return name === undefined ? '?' : text
  })
}
