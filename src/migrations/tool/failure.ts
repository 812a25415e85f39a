import { ServiceError } from '../../errors/service-error.ts'
import { isInsufficientPrivilege } from '../../postgres/errors.ts'
import type { CommittedMigration } from '../files/migration.ts'
import { findLocation } from './location.ts'
import type { ToolError } from './messages.ts'

/**
 * The error for a migration that failed: its file, the line, and everything that PostgreSQL reported.
 * `migration` is undefined if the tool failed before the first one.
 */
export function migrationFailedError(
  migration: CommittedMigration | undefined,
  error: ToolError,
  placeholders: Readonly<Record<string, string>>,
): ServiceError {
  const location = migration && findLocation(migration, error, placeholders)
  const report = [
    error.code ? `${error.message} (${error.code})` : error.message,
    location && `line ${location.line}: ${location.text}`,
    error.where && `context: ${error.where}`,
    error.detail && `detail: ${error.detail}`,
    error.hint && `hint: ${error.hint}`,
  ]
    .filter((part) => part !== undefined && part !== '')
    .map((part) => String(part).replace(/[\s.;]+$/, ''))
  const subject = migration ? `migration ${migration.filename} failed` : 'migrating failed'
  return new ServiceError(
    isInsufficientPrivilege(error) ? 'privilege_missing' : 'migration_failed',
    `${subject}: ${report.join('; ')}; ${describeOutcome(migration, error)}`,
    {
      extensions: {
        migration: migration?.filename,
        line: location?.line,
        text: location?.text,
        sqlstate: error.code,
        context: error.where,
        postgresMessage: error.message,
        postgresDetail: error.detail,
        hint: error.hint,
      },
    },
  )
}

/** What the failure left in the database. */
function describeOutcome(migration: CommittedMigration | undefined, error: ToolError): string {
  if (migration?.noTransaction) {
    return 'it runs outside a transaction (--! no-transaction): check what it left behind'
  }
  if (migration && error.hasCommitted) {
    return 'it contains a commit of its own: check what it left behind'
  }
  if (migration) return 'it was rolled back completely, earlier migrations stay applied'
  return isInsufficientPrivilege(error)
    ? 'nothing was changed; grant the user what it needs, such as CREATE on the database'
    : 'nothing was changed'
}
