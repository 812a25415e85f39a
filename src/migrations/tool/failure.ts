import type { ErrorCode } from '../../errors/codes.ts'
import { ServiceError } from '../../errors/service-error.ts'
import { isInsufficientPrivilege } from '../../postgres/errors.ts'
import type { CommittedMigration } from '../files/migration.ts'
import type { ToolError } from './messages.ts'
import { describeRefusal } from './refusal.ts'

/** What a look at the database found after a run that did not complete. */
export interface Aftermath {
  /** Whether the history has the migration; undefined if the database could not be asked. */
  readonly isApplied: boolean | undefined
  /** What its concurrent statements left unfinished, each as a sentence. */
  readonly unfinished: readonly string[]
}

export const ROLLED_BACK: Aftermath = { isApplied: false, unfinished: [] }

/**
 * The error for a migration that failed: its file, the line, and everything that PostgreSQL reported.
 * `migration` is undefined if the tool failed before the first one.
 */
export function migrationFailedError(
  migration: CommittedMigration | undefined,
  error: ToolError,
  { aftermath = ROLLED_BACK, code }: { aftermath?: Aftermath; code?: ErrorCode } = {},
): ServiceError {
  if (migration && error.refusal) return refusedError(migration, error, error.refusal, aftermath)
  return new ServiceError(
    code ?? (isInsufficientPrivilege(error) ? 'privilege_missing' : 'migration_failed'),
    `${describeSubject(migration, error)}: ${describeReport(error)}; ${describeOutcome(migration, error, aftermath)}`,
    { extensions: { migration: migration?.filename, ...extensionsOf(error) } },
  )
}

/** Everything that PostgreSQL reported, in one line. */
function describeReport(error: ToolError): string {
  const { line, text } = error
  return [
    error.code ? `${error.message} (${error.code})` : error.message,
    line !== undefined && `line ${line}: ${text}`,
    error.where && `context: ${error.where}`,
    error.detail && `detail: ${error.detail}`,
    error.hint && `hint: ${error.hint}`,
  ]
    .filter((part) => part !== undefined && part !== false && part !== '')
    .map((part) => String(part).replace(/[\s.;]+$/, ''))
    .join('; ')
}

function extensionsOf({ line, text, code, where, message, detail, hint }: ToolError) {
  return {
    ...{ line, text, sqlstate: code, context: where },
    ...{ postgresMessage: message, postgresDetail: detail, hint },
  }
}

/** The error for a seed that failed, or that has a statement which no seed may have. It was rolled back. */
export function seedFailedError(
  { filename: seed }: { readonly filename: string },
  error: ToolError,
): ServiceError {
  const { refusal, line, text, isTrial } = error
  const outcome = isTrial
    ? 'the rebuild tried it before dropping anything, so the database is as it was'
    : 'it was rolled back; the migrations, and the seeds before it, stay applied'
  if (refusal !== undefined) {
    const { reason, statement, remedy: hint } = refusal
    return new ServiceError(
      reason === 'transaction_control' ? 'transaction_control' : 'seed_failed',
      `seed ${seed} was refused: ${describeRefusal(refusal, line)}; ${outcome}`,
      { extensions: { seed, line, text, statement, hint } },
    )
  }
  return new ServiceError(
    isInsufficientPrivilege(error) ? 'privilege_missing' : 'seed_failed',
    `seed ${seed} failed: ${describeReport(error)}; ${outcome}`,
    { extensions: { seed, ...extensionsOf(error) } },
  )
}

/** The error for a file with a statement that no migration may contain. */
function refusedError(
  migration: CommittedMigration,
  error: ToolError,
  refusal: NonNullable<ToolError['refusal']>,
  aftermath: Aftermath,
): ServiceError {
  const { line, text } = error
  const { reason, statement, remedy } = refusal
  // A statement that was missed is known by its effect only.
  const outcome =
    statement === '' ? describeOutcome(migration, error, aftermath) : 'nothing of the file was run'
  return new ServiceError(
    reason === 'transaction_control' ? 'transaction_control' : 'migration_failed',
    `migration ${migration.filename} was refused: ${describeRefusal(refusal, line)}; ${outcome}`,
    { extensions: { migration: migration.filename, line, text, statement, hint: remedy } },
  )
}

function describeSubject(migration: CommittedMigration | undefined, { phase }: ToolError): string {
  if (migration === undefined) return 'migrating failed'
  if (phase !== 'record') return `migration ${migration.filename} failed`
  return `migration ${migration.filename} ran, but could not be recorded in the history`
}

/** What the failure left in the database. */
function describeOutcome(
  migration: CommittedMigration | undefined,
  error: ToolError,
  aftermath: Aftermath,
): string {
  if (error.isTrial) {
    return (
      'the rebuild tried it before dropping anything, so the database is as it was; roles and extensions ' +
      'stay when everything is dropped, so a migration must not assume that they are missing'
    )
  }
  if (migration !== undefined) return describeAftermath(migration, error, aftermath)
  return isInsufficientPrivilege(error)
    ? 'nothing was changed; grant the user what it needs, such as CREATE on the database'
    : 'nothing was changed'
}

/** Says what became of a migration that did not complete. */
export function describeAftermath(
  migration: CommittedMigration,
  { hasCommitted }: Pick<ToolError, 'hasCommitted'>,
  { isApplied, unfinished }: Aftermath,
): string {
  if (isApplied) return 'it was applied all the same: the history has it'
  if (migration.noTransaction) {
    const left =
      unfinished.length > 0 ? `: ${unfinished.join('; ')}` : ': check what it left behind'
    return `it runs outside a transaction (--! no-transaction)${left}`
  }
  if (hasCommitted) return 'it contains a commit of its own: check what it left behind'
  if (isApplied === undefined) {
    return 'the database could not be asked whether it was rolled back; the next start finds out'
  }
  return 'it was rolled back completely, earlier migrations stay applied'
}
