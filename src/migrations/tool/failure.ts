import { ServiceError } from '../../errors/service-error.ts'
import type { CommittedMigration } from '../files/committed.ts'
import type { ToolError } from './child.ts'
import { findStatement } from './statements.ts'

const INSUFFICIENT_PRIVILEGE = '42501'
const LONGEST_LINE = 200

/** Where a failed migration is to be looked at. */
interface Place {
  readonly line: number
  readonly text: string
}

/**
 * The error for a migration that failed: which file, which line of it, and everything that
 * PostgreSQL said. `migration` is undefined when the tool failed before it began one.
 */
export function describeFailure(
  migration: CommittedMigration | undefined,
  error: ToolError,
  placeholders: Readonly<Record<string, string>>,
): ServiceError {
  const place = migration && findPlace(migration, error, placeholders)
  const said = [
    error.code ? `${error.message} (${error.code})` : error.message,
    place && `line ${place.line}: ${place.text}`,
    error.where && `context: ${error.where}`,
    error.detail && `detail: ${error.detail}`,
    error.hint && `hint: ${error.hint}`,
  ]
    .filter((part) => part !== undefined && part !== '')
    .map((part) => String(part).replace(/[\s.;]+$/, ''))
  const privilege = error.code === INSUFFICIENT_PRIVILEGE
  const subject = migration ? `migration ${migration.filename} failed` : 'migrating failed'
  return new ServiceError(
    privilege ? 'privilege_missing' : 'migration_failed',
    `${subject}: ${said.join('; ')}; ${describeState(migration, privilege, error)}`,
    {
      extensions: {
        migration: migration?.filename,
        line: place?.line,
        text: place?.text,
        sqlstate: error.code,
        context: error.where,
        postgresMessage: error.message,
        postgresDetail: error.detail,
        hint: error.hint,
      },
    },
  )
}

function describeState(
  migration: CommittedMigration | undefined,
  privilege: boolean,
  { hasCommitted }: ToolError,
): string {
  if (migration?.noTransaction) {
    return 'it runs outside a transaction (--! no-transaction), so look at what it has left behind'
  }
  if (migration && hasCommitted) {
    return 'it has a commit of its own, so look at what it has left behind'
  }
  if (migration) return 'it was rolled back whole, the ones before it stay'
  return privilege
    ? 'grant the user what it needs, such as create on the database; nothing was changed'
    : 'nothing was changed'
}

function findPlace(
  { body, bodyLine }: CommittedMigration,
  error: ToolError,
  placeholders: Readonly<Record<string, string>>,
): Place | undefined {
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
      .slice(0, LONGEST_LINE),
  }
}

/**
 * How many characters of the text that was sent stand before the fault: as PostgreSQL says, or else
 * before the statement that failed, which is the first that was not completed.
 */
function findPosition(
  sent: string,
  { code, position, completedStatements }: ToolError,
): number | undefined {
  if (position !== undefined) return Number(position) - 1
  // Without a SQLSTATE it is not PostgreSQL that speaks, and nothing is known of statements.
  if (code === undefined || completedStatements === undefined) return undefined
  const start = findStatement(sent, completedStatements)
  return start === undefined ? undefined : [...sent.slice(0, start)].length
}

interface Part {
  readonly original: string
  readonly sent: string
}

/** As the tool replaces them: a name counts up to the end of its word. */
function splitAtPlaceholders(body: string, placeholders: Readonly<Record<string, string>>): Part[] {
  const names = Object.keys(placeholders).join('|')
  const originals = names === '' ? [body] : body.split(new RegExp(`((?:${names})\\b)`))
  return originals.map((original) => ({ original, sent: placeholders[original] ?? original }))
}

/** PostgreSQL counts characters, JavaScript UTF-16 units; placeholders have moved what follows. */
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
