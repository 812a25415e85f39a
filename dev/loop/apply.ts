import { randomUUID } from 'node:crypto'
import { current, Logger, type Settings } from 'graphile-migrate'
import type { DatabaseError } from 'pg'
import { isConnectionLost, isConnectionRefusedForNow } from '../../src/postgres/errors.ts'
import { describeFailure, describeToolError, type Failure, findRefusal } from './failure.ts'
import { type FailedQuery, withToolSessions } from './tool-session.ts'

export interface ApplyOptions {
  readonly url: string
  readonly databaseName: string
  readonly migrationsDir: string
  /** Of `.gmrc`, with every placeholder that the migrations may use; without connections. */
  readonly settings: Settings & { readonly placeholders: Readonly<Record<string, string>> }
  /** How long a statement waits for a lock; 0: no limit. */
  readonly lockTimeoutMs: number
  readonly onNotice: (text: string) => void
}

/** Nothing was applied, because the database was not there or another session was migrating it. */
export class NotNowError extends Error {}

/**
 * Applies pending migrations and the uncommitted one, as `graphile-migrate current` does. Returns undefined, or
 * why it failed and was rolled back. Throws a NotNowError if it has to be tried again.
 */
export async function applyCurrent(options: ApplyOptions): Promise<Failure | undefined> {
  const { databaseName, migrationsDir, settings } = options
  const refusal = findRefusal(migrationsDir)
  if (refusal !== undefined) return refusal
  let failed: FailedQuery | undefined
  let migration: string | undefined
  const logger = new Logger(() => (_, text) => {
    if (text.includes('Running current.sql')) migration = undefined
    else migration = /Running migration '([^']+)'/.exec(text)?.[1] ?? migration
  })
  const onFailure = (query: FailedQuery) => {
    failed ??= query
  }
  const run = () =>
    current({
      ...settings,
      migrationsFolder: migrationsDir,
      // It connects through our sessions, and reads only the database's name here: with any characters. It keeps
      // the pool of a connection string for a while, and each run needs its own.
      connectionString: `socket:/?db=${encodeURIComponent(databaseName)}&run=${randomUUID()}`,
      logger,
    })
  try {
    await withToolSessions({ ...options, onFailure }, run)
    return undefined
  } catch (thrown) {
    // What follows, such as a rollback on a session that is gone, is not why it failed.
    const error = failed?.error ?? thrown
    if (isConnectionLost(error) || isConnectionRefusedForNow(error) || isToolLockBusy(error)) {
      throw new NotNowError((error as Error).message, { cause: error })
    }
    if (migration !== undefined) {
      return { message: `migration ${migration} failed: ${(error as Error).message}` }
    }
    if (failed === undefined || !isOfPostgres(error)) {
      return describeToolError(error, migrationsDir)
    }
    return describeFailure(failed, { migrationsDir, placeholders: listPlaceholders(options) })
  }
}

/** All that the tool replaces: those of `.gmrc`, and its own. */
export function listPlaceholders({
  settings,
  databaseName,
}: Pick<ApplyOptions, 'settings' | 'databaseName'>): Readonly<Record<string, string>> {
  return {
    ...settings.placeholders,
    ':DATABASE_NAME': databaseName,
    // The tool takes the name of the database where there is no user in its connection string.
    ':DATABASE_OWNER': settings.databaseOwner ?? databaseName,
  }
}

/** PostgreSQL's errors have a severity, the driver's and the tool's do not. */
function isOfPostgres(error: unknown): boolean {
  return (error as DatabaseError).severity !== undefined
}

/** The tool reports this without a code. */
function isToolLockBusy(error: unknown): boolean {
  return error instanceof Error && error.message === 'Failed to get exclusive lock'
}
