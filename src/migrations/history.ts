import type { ClientBase } from 'pg'
import type { CommittedMigration } from './files/committed.ts'
import { type HistoryProblem, refuseHistory } from './history-error.ts'

/** A row of graphile-migrate's own record in the database. */
export interface AppliedMigration {
  /** Number and ending, `000001.sql`: slug and message are not recorded. */
  readonly recordedAs: string
  readonly hash: string
  readonly previousHash: string | null
  readonly appliedAt: Date
}

/** SQLSTATE of a query about a table that is not there. */
const UNDEFINED_TABLE = '42P01'

/** Reads the database's record; a database that has none has had no migration. */
export async function readAppliedMigrations(
  client: Pick<ClientBase, 'query'>,
): Promise<AppliedMigration[]> {
  try {
    const { rows } = await client.query<AppliedMigration>(
      `select filename as "recordedAs", hash, previous_hash as "previousHash", date as "appliedAt"
         from graphile_migrate.migrations
        order by pg_catalog.length(filename), filename`,
    )
    return rows
  } catch (error) {
    if ((error as { code?: string }).code === UNDEFINED_TABLE) return []
    throw error
  }
}

/**
 * Compares the files with the record, every one, by number and hash, and returns the files that are
 * still to be applied. Refuses a database that is ahead of the files or has another history.
 */
export function comparePending(
  committed: readonly CommittedMigration[],
  applied: readonly AppliedMigration[],
): CommittedMigration[] {
  const problems: HistoryProblem[] = []
  applied.forEach((record, index) => {
    const file = committed[index]
    const problem = findDifference(file, record)
    if (problem) problems.push({ filename: file?.filename ?? record.recordedAs, problem })
  })
  if (problems.length > 0) throw refuseHistory(problems)
  return committed.slice(applied.length)
}

function findDifference(
  file: CommittedMigration | undefined,
  record: AppliedMigration,
): string | undefined {
  const recorded = `the database has ${record.recordedAs} with hash ${record.hash}`
  if (file === undefined) {
    return `is missing: the database is ahead; ${recorded}, the files have no such number`
  }
  if (file.recordedAs !== record.recordedAs) {
    return `has no such record: in its place ${recorded}, the file has ${file.hash}`
  }
  if (file.hash !== record.hash) {
    return `is not what was applied: ${recorded}, the file has ${file.hash}`
  }
  if (file.previousHash !== record.previousHash) {
    return (
      'does not follow what was applied before it: the database has previous hash ' +
      `${record.previousHash ?? '-'}, the file has ${file.previousHash ?? '-'}`
    )
  }
  return undefined
}
