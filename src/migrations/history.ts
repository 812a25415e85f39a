import type { Config } from '../config/config.ts'
import type { Queryable } from '../postgres/client.ts'
import { sqlstateOf } from '../postgres/errors.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import { readCommittedMigrations } from './files/committed.ts'
import type { CommittedMigration } from './files/migration.ts'
import { type HistoryProblem, historyRefusedError } from './history-error.ts'
import {
  fingerprintHistory,
  type HistoryFingerprint,
  type HistoryRow,
  readFingerprint,
} from './history-fingerprint.ts'

/** A migration in graphile-migrate's history in the database: neither slug nor message is recorded. */
export type AppliedMigration = HistoryRow

/** A row of that history. */
export interface DatedMigration extends AppliedMigration {
  readonly appliedAt: Date
}

/** The committed files compared with the history in the database. */
export interface MigrationStatus {
  readonly committed: readonly CommittedMigration[]
  readonly applied: readonly AppliedMigration[]
  readonly pending: readonly CommittedMigration[]
  /** Applied migrations that follow the last of our files; empty unless `WHEN_AHEAD` is `serve`. */
  readonly ahead: readonly AppliedMigration[]
}

type WhenAhead = Config['whenAhead']

/**
 * Reads files and history, and throws `history_refused` unless they agree. `onPending` is called as soon as it
 * is known that files are pending, before it is known that they may run.
 */
export async function readMigrationStatus(
  client: Queryable,
  migrationsDir: string,
  whenAhead: WhenAhead = 'refuse',
  onPending: () => void = () => {},
): Promise<MigrationStatus> {
  // The database makes the fingerprint while this process reads the files.
  const reading = readFingerprint(client)
  // What is wrong with the files is reported first.
  reading.catch(() => {})
  const committed = await readCommittedMigrations(migrationsDir)
  const applied = await readDifferent(client, committed, await reading)
  const pending = findPendingMigrations(committed, applied, whenAhead)
  if (pending.length > 0) {
    onPending()
    await assertAsTheySeem(pending)
  }
  return { committed, applied, pending, ahead: applied.slice(committed.length) }
}

/** Reads the history, unless it is known from its fingerprint: then it is empty, or the same as the files. */
async function readDifferent(
  client: Queryable,
  committed: readonly CommittedMigration[],
  found: HistoryFingerprint,
): Promise<readonly AppliedMigration[]> {
  if (found.count === 0) return []
  const isSame =
    found.count === committed.length &&
    found.fingerprint === fingerprintHistory(committed).fingerprint
  if (!isSame) return readAppliedMigrations(client)
  // Without the texts of the files, which are not kept.
  return committed.map(({ recordedAs, hash, previousHash }) => ({ recordedAs, hash, previousHash }))
}

/** An applied file is left alone: it ran as it did, and must not be changed any more. */
async function assertAsTheySeem(pending: readonly CommittedMigration[]): Promise<void> {
  const problems: HistoryProblem[] = []
  for (const migration of pending) {
    const { filename, findIgnored, body, bodyLine, mayHaveInvisible } = migration
    const findInvisible = async () => {
      // Imported only here, because few files need what reads SQL.
      const { findInvisibleCharacter, findInvisibleInBody } = await import('./files/invisible.ts')
      return body === undefined
        ? findInvisibleInBody(migration)
        : findInvisibleCharacter(body, bodyLine)
    }
    const problem = findIgnored() ?? (mayHaveInvisible ? await findInvisible() : undefined)
    if (problem !== undefined) problems.push({ filename, problem })
  }
  if (problems.length > 0) throw historyRefusedError(problems)
}

/** Says in how far the database is ahead: `ahead by 000003, 000004`; undefined if it is not. */
export function describeAhead(ahead: readonly AppliedMigration[]): string | undefined {
  if (ahead.length === 0) return undefined
  const names = ahead.slice(0, MAX_NAMED).map(({ recordedAs }) => recordedAs.replace(/\.sql$/, ''))
  const more = ahead.length - names.length
  return `ahead by ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

const MAX_NAMED = 5

/** Reads the history, oldest first; empty for a database that has never been migrated. */
export async function readAppliedMigrations(client: Queryable): Promise<DatedMigration[]> {
  try {
    // The names are compared as text only among those of one length, so that 9999 precedes 10000.
    const { rows } = await client.query<DatedMigration>(
      `select filename as "recordedAs", hash, previous_hash as "previousHash", date as "appliedAt"
         from graphile_migrate.migrations
        order by pg_catalog.length(filename), filename`,
    )
    return rows
  } catch (error) {
    if (sqlstateOf(error) === SQLSTATE.undefinedTable) return []
    throw error
  }
}

/**
 * Returns the committed files that are not in the history yet. Throws `history_refused` if a file
 * differs from its row, by number or by hash, or if the database is ahead of the files and that is
 * to be refused.
 */
export function findPendingMigrations(
  committed: readonly CommittedMigration[],
  applied: readonly AppliedMigration[],
  whenAhead: WhenAhead = 'refuse',
): CommittedMigration[] {
  const problems: HistoryProblem[] = []
  applied.forEach((row, index) => {
    const file = committed[index]
    if (file === undefined && whenAhead === 'serve') return
    const problem = findDifference(file, row)
    if (problem) problems.push({ filename: file?.filename ?? row.recordedAs, problem })
  })
  if (problems.length > 0) throw historyRefusedError(problems)
  return committed.slice(applied.length)
}

function findDifference(
  file: CommittedMigration | undefined,
  row: AppliedMigration,
): string | undefined {
  const recorded = `the database has ${row.recordedAs} with hash ${row.hash}`
  if (file === undefined) {
    return (
      `is missing: the database is ahead of the files; ${recorded}; deploy the ` +
      'newer files, or set WHEN_AHEAD=serve to run on it'
    )
  }
  if (file.recordedAs !== row.recordedAs) {
    return `was never applied: in its place ${recorded}, the file has ${file.hash}`
  }
  if (file.hash !== row.hash) {
    return `differs from what was applied: ${recorded}, the file has ${file.hash}`
  }
  if (file.previousHash !== row.previousHash) {
    return (
      'does not follow the same migration as the one that was applied: the database has previous ' +
      `hash ${row.previousHash ?? '-'}, the file has ${file.previousHash ?? '-'}`
    )
  }
  return undefined
}
