import { createTokens } from '../tool/tokens.ts'
import { type Body, findPlace, readBody } from './body.ts'
import { INVISIBLE, mayHaveInvisible } from './invisible-characters.ts'
import { createPauses } from './pieces.ts'

/**
 * Finds a character that cannot be seen, outside quotes and comments, and says what is wrong; undefined
 * if there is none. PostgreSQL takes it for a part of a name: a table would get a name that nobody can
 * type, or a keyword would not be recognized.
 */
export function findInvisibleCharacter(sql: string, firstLine = 1): string | undefined {
  // Most scripts have none, and are not split into tokens for it.
  if (!mayHaveInvisible(sql)) return undefined
  const search = createSearch()
  const found = search.read(sql) ?? search.finish()
  if (found === undefined) return undefined
  const before = sql.slice(0, found.offset)
  return describe(found, {
    line: firstLine + before.split('\n').length - 1,
    column: before.length - before.lastIndexOf('\n'),
  })
}

/** Finds such a character in a file that is too large to be kept in memory. */
export async function findInvisibleInBody(body: Body): Promise<string | undefined> {
  const search = createSearch()
  const pause = createPauses()
  let found: Found | undefined
  for await (const piece of readBody(body)) {
    found = search.read(piece)
    if (found !== undefined) break
    await pause()
  }
  found ??= search.finish()
  return found && describe(found, await findPlace(body, found.offset))
}

interface Found {
  /** Where it is in the script. */
  readonly offset: number
  readonly character: string
}

function createSearch() {
  const tokens = createTokens()
  const search = (): Found | undefined => {
    for (let kind = tokens.next(); kind !== undefined; kind = tokens.next()) {
      if (kind !== 'word' && kind !== 'other') continue
      const found = INVISIBLE.exec(tokens.text())
      if (found !== null) return { offset: tokens.start + found.index, character: found[0] }
    }
    return undefined
  }
  return {
    read(piece: string) {
      tokens.add(piece)
      return search()
    },
    finish() {
      tokens.close()
      return search()
    },
  }
}

function describe(
  { character }: Found,
  { line, column }: { readonly line: number; readonly column: number },
): string {
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  return (
    `has a character outside quotes that cannot be seen, line ${line}, column ${column}: U+${code}; ` +
    'PostgreSQL would take it for a part of a name: remove it'
  )
}
