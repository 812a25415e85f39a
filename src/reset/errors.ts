import type { SchemaDifference } from '../catalog/diff.ts'
import { ServiceError } from '../errors/service-error.ts'
import { describeError } from '../postgres/errors.ts'
import type { Blocker } from './blockers.ts'

const REBUILD = { remedy: 'rebuild' } as const

/** No baseline was captured, or a migration was applied after it. */
export function noBaselineError(): ServiceError {
  return new ServiceError(
    'no_baseline',
    'there is no baseline, the state after the last migration: the database was in use before reset was ' +
      'allowed, another program migrated it, or capturing it failed; reset with {"mode": "rebuild"} captures one',
    { extensions: REBUILD },
  )
}

/** PostgreSQL rejects the rows of the baseline: `reason` is its message. */
export function rowsNotRestorableError(reason: string): ServiceError {
  return new ServiceError(
    'rows_not_restorable',
    `PostgreSQL rejects the rows that the migrations inserted: ${reason}; ` +
      'reset with {"mode": "rebuild"} runs the migrations again',
    { extensions: REBUILD },
  )
}

/** The session cannot create the reset function, which is a temporary object. */
export function temporaryPrivilegeError(databaseName: string): ServiceError {
  return new ServiceError(
    'privilege_missing',
    'a reset needs a temporary function, and the user of DATABASE_URL may not create temporary objects in ' +
      `database ${databaseName}: grant it TEMPORARY on the database`,
  )
}

/** Another session canceled the reset in the database. */
export function resetCanceledError(cause: unknown): ServiceError {
  return new ServiceError(
    'reset_canceled',
    'another session canceled the reset in the database, which rolled it back; try again',
    { cause },
  )
}

/** The connection was lost during a reset. */
export function databaseLostError(cause: unknown): ServiceError {
  return new ServiceError(
    'database_lost',
    'the connection to the database was lost during the reset, which was applied completely or not at all: ' +
      `${describeError(cause)}; try again`,
    { cause },
  )
}

/** Nothing was dropped, because nothing could be created after it. */
export function readOnlyError(reason: string): ServiceError {
  return new ServiceError(
    'database_read_only',
    `${reason}, so the rebuild was refused and nothing was dropped: make it writable, then try again`,
  )
}

/** The role neither owns these objects nor has the privileges to reset them. */
export function notOwnerError(names: readonly string[]): ServiceError {
  return new ServiceError(
    'not_owner',
    `the user of DATABASE_URL may not reset ${names.join(', ')}: make this user their owner`,
    { extensions: { relations: names } },
  )
}

/** Objects or rows of ignored schemas need what is to be removed; nothing was changed. */
export function ignoredObjectsDependError(objects: readonly string[]): ServiceError {
  const shown = objects.slice(0, 5).join(', ')
  const more = objects.length > 5 ? ` and ${objects.length - 5} more` : ''
  return new ServiceError(
    'ignored_objects_depend',
    'schemas that a reset leaves alone (RESET_IGNORE_SCHEMAS, or RESET_EMPTY_SCHEMAS in a rebuild) depend on what ' +
      `the migrations made: ${shown}${more}; nothing was changed: remove them, or take their schema out of the setting`,
    { extensions: { objects: objects.slice(0, 100) } },
  )
}

/** The schema is not that of the baseline. */
export function schemaChangedError(all: readonly SchemaDifference[]): ServiceError {
  const differences = withoutParts(all)
  const shown = differences.slice(0, 5).map(({ kind, name, change }) => `${kind} ${name} ${change}`)
  const more =
    differences.length > shown.length ? ` and ${differences.length - shown.length} more` : ''
  return new ServiceError(
    'schema_changed',
    `the schema is no longer what the migrations made (${shown.join(', ')}${more}); ` +
      'reset with {"mode": "rebuild"} runs the migrations again',
    { extensions: { ...REBUILD, differences: differences.slice(0, 100) } },
  )
}

/** Reports a table that was added or dropped once, and not again for each of its columns. */
function withoutParts(differences: readonly SchemaDifference[]): SchemaDifference[] {
  const wholes = differences.filter(
    ({ kind, change }) => change !== 'changed' && /^(table|view|materialized view)$/.test(kind),
  )
  return differences.filter(
    ({ name, change }) =>
      !wholes.some((whole) => whole.change === change && name.startsWith(`${whole.name}.`)),
  )
}

export interface LockedErrorOptions {
  readonly lockTimeoutMs: number
  readonly blockers: readonly Blocker[]
  readonly terminated: readonly Blocker[]
  /** Blockers that the role was asked to terminate, and may not. */
  readonly notTerminated: readonly Blocker[]
}

/** Other transactions still block the reset after the lock timeout. */
export function lockedError(options: LockedErrorOptions): ServiceError {
  const { lockTimeoutMs, blockers, terminated, notTerminated } = options
  const name = ({ pid, gid }: Blocker) =>
    pid === null ? `prepared transaction ${gid}` : `pid ${pid}`
  const names = blockers.map(name).join(', ') || 'a transaction that has ended since'
  const isProtected = (blocker: Blocker) => blocker.mayNotEnd || notTerminated.includes(blocker)
  const protectedNames = blockers.filter(isProtected).map(name).join(', ')
  const remedy =
    protectedNames === ''
      ? 'end it, wait longer (lockTimeoutMs) or have it terminated (terminateBlockers)'
      : `the user of DATABASE_URL may not terminate ${protectedNames}: have it ended by a user who may, or ` +
        'wait longer (lockTimeoutMs)'
  return new ServiceError(
    'locked',
    `an open transaction blocks the reset after ${lockTimeoutMs} ms: ${names}; ${remedy}`,
    {
      extensions: {
        blockers: blockers.map((one) => ({ ...one, mayNotEnd: isProtected(one) })),
        terminated,
      },
    },
  )
}
