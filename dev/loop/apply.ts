import { randomUUID } from 'node:crypto'
import { current, Logger, migrate, type Settings } from 'graphile-migrate'
import type { Queryable } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import {
  isConnectionLost,
  isConnectionRefusedForNow,
  sqlstateOf,
} from '../../src/postgres/errors.ts'
import { SQLSTATE } from '../../src/postgres/sqlstate.ts'
import { describeFailure, describeToolError, type Failure, findRefusal } from './failure.ts'
import { NotNowError } from './not-now.ts'
import { listPlaceholders } from './placeholders.ts'
import { type FailedQuery, isOfPostgres, isToolLockBusy, withToolSessions } from './tool-session.ts'

export interface ApplyOptions {
  /** Opens a session that nothing has used: see `openToolSession`. */
  readonly open: () => Promise<SessionClient>
  readonly databaseName: string
  readonly migrationsDir: string
  /** Of `.gmrc`, with every placeholder that the migrations may use; without connections. */
  readonly settings: Settings & { readonly placeholders: Readonly<Record<string, string>> }
}

export interface AppliedCurrent {
  /** Why it failed and was rolled back. */
  readonly failure?: Failure
  /** It was not run, because it is what was applied last. */
  readonly isUnchanged: boolean
}

/**
 * Applies the uncommitted migration, as `graphile-migrate current` does. Throws a NotNowError if it has to be tried
 * again.
 */
export async function applyCurrent(options: ApplyOptions): Promise<AppliedCurrent> {
  const refusal = findRefusal(options.migrationsDir)
  if (refusal !== undefined) return { failure: refusal, isUnchanged: false }
  return runTool(current, options)
}

/** Makes the tool forget what it applied last, unless that was this very text. */
export async function forgetOther(client: Queryable, compiled: string): Promise<void> {
  // PostgreSQL stores none, so this text was never applied, and will be refused.
  if (compiled.includes('\0')) return
  try {
    await client.query('delete from graphile_migrate.current where content <> $1', [compiled])
  } catch (error) {
    if (sqlstateOf(error) !== SQLSTATE.undefinedTable) throw error
  }
}

/** Applies pending migrations, as `graphile-migrate migrate` does. Returns why one failed. */
export async function applyPending(options: ApplyOptions): Promise<Failure | undefined> {
  return (await runTool(migrate, options)).failure
}

async function runTool(
  tool: typeof current | typeof migrate,
  options: ApplyOptions,
): Promise<AppliedCurrent> {
  const { databaseName, migrationsDir, settings } = options
  let failed: FailedQuery | undefined
  let migration: string | undefined
  let isUnchanged = false
  const logger = new Logger(() => (_, text) => {
    if (text.includes('Running current.sql')) migration = undefined
    else migration = /Running migration '([^']+)'/.exec(text)?.[1] ?? migration
    isUnchanged ||= text.includes('current.sql unchanged')
  })
  const onFailure = (query: FailedQuery) => {
    failed ??= query
  }
  const run = async () => {
    await tool({
      ...settings,
      migrationsFolder: migrationsDir,
      // It connects through our sessions, and reads only the database's name here: with any characters. It keeps
      // the pool of a connection string for a while, and each run needs its own.
      connectionString: `socket:/?db=${encodeURIComponent(databaseName)}&run=${randomUUID()}`,
      logger,
    })
  }
  try {
    await withToolSessions({ open: options.open, onFailure }, run)
    return { isUnchanged }
  } catch (thrown) {
    // What follows, such as a rollback on a session that is gone, is not why it failed.
    const error = failed?.error ?? thrown
    if (isConnectionLost(error) || isConnectionRefusedForNow(error) || isToolLockBusy(error)) {
      throw new NotNowError((error as Error).message, { cause: error })
    }
    return { failure: describe(error, failed, migration, options), isUnchanged }
  }
}

function describe(
  error: unknown,
  failed: FailedQuery | undefined,
  migration: string | undefined,
  options: ApplyOptions,
): Failure {
  const { migrationsDir } = options
  if (migration !== undefined) {
    return { message: `migration ${migration} failed: ${(error as Error).message}` }
  }
  if (failed === undefined || !isOfPostgres(error))
    return describeToolError(error, { migrationsDir, placeholders: listPlaceholders(options) })
  return describeFailure(failed, { migrationsDir, placeholders: listPlaceholders(options) })
}
