import { readTokens } from '../tool/tokens.ts'

/** Spaces that PostgreSQL does not know, and characters that show nothing or turn the direction of text. */
const INVISIBLE =
  /[\u00a0\u00ad\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0]/

/**
 * Finds a character that cannot be seen, outside quotes and comments, and says what is wrong; undefined
 * if there is none. PostgreSQL takes it for a part of a name: a table would get a name that nobody can
 * type, or a keyword would not be recognized.
 */
export function findInvisibleCharacter(sql: string, firstLine = 1): string | undefined {
  // Most scripts have none, and are not split into tokens for it.
  if (!INVISIBLE.test(sql)) return undefined
  const tokens = readTokens(sql)
  for (let kind = tokens.next(); kind !== undefined; kind = tokens.next()) {
    if (kind !== 'word' && kind !== 'other') continue
    const found = INVISIBLE.exec(sql.slice(tokens.start, tokens.end))
    if (found === null) continue
    const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    const before = sql.slice(0, tokens.start + found.index)
    const line = firstLine + before.split('\n').length - 1
    return (
      `has a character outside quotes that cannot be seen, line ${line}, column ` +
      `${before.length - before.lastIndexOf('\n')}: U+${code}; PostgreSQL would take it for a part of ` +
      'a name: remove it'
    )
  }
  return undefined
}
