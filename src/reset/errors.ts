import type { SchemaDifference } from '../catalog/diff.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Blocker } from './blockers.ts'

/** Nobody has captured what the migrations left. */
export function refuseNoBaseline(): ServiceError {
  return new ServiceError(
    'no_baseline',
    'there is no record of what the last migration left: the database was in use before reset was allowed, ' +
      'or was migrated by somebody else; reset with {"mode": "rebuild"} makes one',
    { extensions: { remedy: 'rebuild' } },
  )
}

/** PostgreSQL does not let the rows be put back, by a constraint or otherwise. */
export function refuseRows(reason: string): ServiceError {
  return new ServiceError(
    'rows_not_restorable',
    `PostgreSQL does not let the rows of the migrations be put back: ${reason}; ` +
      'reset with {"mode": "rebuild"} makes them anew',
    { extensions: { remedy: 'rebuild' } },
  )
}

/** The session may not keep the reset's function, which is a temporary one. */
export function refuseTemporary(databaseName: string): ServiceError {
  return new ServiceError(
    'not_owner',
    `the user of DATABASE_URL may not make temporary objects in database ${databaseName}, which a reset ` +
      'needs: grant it temporary on the database',
    { extensions: { relations: [] } },
  )
}

/** Somebody has canceled it in the database. */
export function refuseCanceled(cause: unknown): ServiceError {
  return new ServiceError(
    'reset_canceled',
    'the reset was canceled in the database, and undone; ask again',
    { cause },
  )
}

export function refuseForbidden(names: readonly string[]): ServiceError {
  return new ServiceError(
    'not_owner',
    `the user of DATABASE_URL may not reset ${names.join(', ')}: make it their owner`,
    { extensions: { relations: names } },
  )
}

export function refuseSchemaChanged(all: readonly SchemaDifference[]): ServiceError {
  const differences = withoutParts(all)
  const shown = differences.slice(0, 5).map(({ kind, name, change }) => `${kind} ${name} ${change}`)
  const more =
    differences.length > shown.length ? ` and ${differences.length - shown.length} more` : ''
  return new ServiceError(
    'schema_changed',
    `the schema is no longer what the migrations made (${shown.join(', ')}${more}); ` +
      'reset with {"mode": "rebuild"} makes it anew',
    { extensions: { remedy: 'rebuild', differences: differences.slice(0, 100) } },
  )
}

/** A table that is gone, or new, is said once, and not once for each of its columns. */
function withoutParts(differences: readonly SchemaDifference[]): SchemaDifference[] {
  const wholes = differences.filter(
    ({ kind, change }) => change !== 'changed' && /^(table|view|materialised view)$/.test(kind),
  )
  return differences.filter(
    ({ name, change }) =>
      !wholes.some((whole) => whole.change === change && name.startsWith(`${whole.name}.`)),
  )
}

export interface LockedOptions {
  readonly lockTimeoutMs: number
  readonly blockers: readonly Blocker[]
  readonly terminated: readonly Blocker[]
  /** Those that the role may not end, though asked to. */
  readonly refused: readonly Blocker[]
}

export function refuseLocked(options: LockedOptions): ServiceError {
  const { lockTimeoutMs, blockers, terminated, refused } = options
  const name = ({ pid, gid }: Blocker) =>
    pid === null ? `prepared transaction ${gid}` : `pid ${pid}`
  const names = blockers.map(name).join(', ') || 'a transaction that has ended meanwhile'
  const beyond = blockers.filter((one) => one.mayNotEnd || refused.includes(one))
  const detail =
    beyond.length > 0
      ? `the user of DATABASE_URL may not end ${beyond.map(name).join(', ')}: have it ended by somebody who ` +
        'may, or wait longer (lockTimeoutMs)'
      : 'end it, wait longer (lockTimeoutMs) or have it ended (terminateBlockers)'
  return new ServiceError(
    'locked',
    `an open transaction is in the way after ${lockTimeoutMs} ms: ${names}; ${detail}`,
    {
      extensions: {
        blockers: blockers.map((one) => ({ ...one, mayNotEnd: beyond.includes(one) })),
        terminated,
      },
    },
  )
}
