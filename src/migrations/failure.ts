import { EXIT, ServiceError } from '../errors.ts'
import type { CommittedMigration } from './committed.ts'
import type { ToolError } from './tool.ts'

const INSUFFICIENT_PRIVILEGE = '42501'

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
    error.code ? `${error.message} (SQLSTATE ${error.code})` : error.message,
    place && `line ${place.line}: ${place.text}`,
    error.where && `context: ${error.where}`,
    error.detail && `detail: ${error.detail}`,
    error.hint && `hint: ${error.hint}`,
  ].filter((part) => part)
  const privilege = error.code === INSUFFICIENT_PRIVILEGE
  const subject = migration ? `migration ${migration.filename} failed` : 'migrating failed'
  return new ServiceError(
    `${subject}: ${said.join('; ')}; ${describeState(migration, privilege)}`,
    {
      code: privilege ? 'privilege_missing' : 'migration_failed',
      exitCode: EXIT.migration,
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

function describeState(migration: CommittedMigration | undefined, privilege: boolean): string {
  if (migration?.noTransaction) {
    return 'it runs outside a transaction (--! no-transaction), so look at what it has left behind'
  }
  if (migration) return 'it was rolled back whole, the ones before it stay'
  return privilege
    ? 'grant the user what it needs, such as create on the database; nothing was changed'
    : 'nothing was changed'
}

function findPlace(
  migration: CommittedMigration,
  { position }: ToolError,
  placeholders: Readonly<Record<string, string>>,
): Place | undefined {
  if (position === undefined) return undefined
  const offset = findOriginalOffset(migration.body, Number(position) - 1, placeholders)
  const before = migration.body.slice(0, offset)
  const start = before.lastIndexOf('\n') + 1
  const end = migration.body.indexOf('\n', offset)
  return {
    line: migration.bodyLine + before.split('\n').length - 1,
    text: migration.body.slice(start, end === -1 ? undefined : end).trim(),
  }
}

/**
 * Where in the body a character of the text stands that the tool made of it: placeholders have
 * moved what follows them. PostgreSQL counts characters, JavaScript UTF-16 units.
 */
function findOriginalOffset(
  body: string,
  characters: number,
  placeholders: Readonly<Record<string, string>>,
): number {
  const names = Object.keys(placeholders).map((name) => name.replace(/[^\w:]/g, '\\$&'))
  const parts = names.length === 0 ? [body] : body.split(new RegExp(`((?:${names.join('|')})\\b)`))
  let left = characters
  let offset = 0
  for (const part of parts) {
    const value = placeholders[part]
    const length = [...(value ?? part)].length
    if (left < length) {
      return value === undefined ? offset + [...part].slice(0, left).join('').length : offset
    }
    left -= length
    offset += part.length
  }
  return Math.max(0, body.length - 1)
}
