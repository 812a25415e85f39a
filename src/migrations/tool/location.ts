import type { CommittedMigration } from '../files/migration.ts'
import type { ToolError } from './messages.ts'
import { findStatement } from './statements.ts'

/** The line of a migration's file that failed. */
export interface Location {
  readonly line: number
  readonly text: string
}

const MAX_TEXT_LENGTH = 200

/** Finds the line that failed; undefined if PostgreSQL's report does not tell. */
export function findLocation(
  { body, bodyLine }: CommittedMigration,
  error: ToolError,
  placeholders: Readonly<Record<string, string>>,
): Location | undefined {
  const parts = splitAtPlaceholders(body, placeholders)
  const characters = findPosition(parts.map(({ sent }) => sent).join(''), error)
  if (characters === undefined) return undefined
  const offset = findOriginalOffset(parts, characters)
  const before = body.slice(0, offset)
  const start = before.lastIndexOf('\n') + 1
  const end = body.indexOf('\n', offset)
  return {
    line: bodyLine + before.split('\n').length - 1,
    text: body
      .slice(start, end === -1 ? undefined : end)
      .trim()
      .slice(0, MAX_TEXT_LENGTH),
  }
}

/**
 * How many characters of the sent text precede the error: PostgreSQL's position, or else the start
 * of the first statement that did not complete.
 */
function findPosition(
  sent: string,
  { code, position, completedStatements }: ToolError,
): number | undefined {
  if (position !== undefined) return Number(position) - 1
  // Without a SQLSTATE the error is not PostgreSQL's, and belongs to no statement.
  if (code === undefined || completedStatements === undefined) return undefined
  const start = findStatement(sent, completedStatements)
  return start === undefined ? undefined : [...sent.slice(0, start)].length
}

interface Part {
  readonly original: string
  readonly sent: string
}

/** Replaces as the tool does: a placeholder's name ends where the word ends. */
function splitAtPlaceholders(body: string, placeholders: Readonly<Record<string, string>>): Part[] {
  const names = Object.keys(placeholders).join('|')
  const originals = names === '' ? [body] : body.split(new RegExp(`((?:${names})\\b)`))
  return originals.map((original) => ({ original, sent: placeholders[original] ?? original }))
}

/**
 * Converts a position in the sent text into an offset in the file's text. PostgreSQL counts
 * characters and JavaScript UTF-16 units, and placeholders have moved what follows them.
 */
function findOriginalOffset(parts: readonly Part[], characters: number): number {
  let left = characters
  let offset = 0
  for (const { original, sent } of parts) {
    const length = [...sent].length
    if (left < length) {
      return original === sent ? offset + [...sent].slice(0, left).join('').length : offset
    }
    left -= length
    offset += original.length
  }
  return Math.max(0, offset - 1)
}
