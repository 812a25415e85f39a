import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeFailure, type Failure } from '../loop/failure.ts'
import { listPlaceholders } from '../loop/placeholders.ts'
import {
  type FailedQuery,
  isOfPostgres,
  isToolLockBusy,
  openToolSession,
  withToolSessions,
} from '../loop/tool-session.ts'
import { recordChanges } from '../recording.ts'
import { type CommandRun, createCommandSettings } from '../tool.ts'
import { withClient } from '../with-client.ts'

/** How long another migration, such as one of the watch, may take. */
const BUSY_MS = 30_000
const RETRY_MS = 200

/**
 * Applies the committed migrations of a folder to the development database, in which current.sql has mostly been run already.
 * Returns why one failed and was rolled back, at its place in current.sql or a fixture.
 */
export async function migrateDevelopment(
  run: CommandRun,
  stagedDir: string,
): Promise<Failure | undefined> {
  const { config, database } = run
  // Only now: an import of the tool takes longer than most refusals.
  const { Logger, migrate } = await import('graphile-migrate')
  const settings = await createCommandSettings({ ...run, migrationsDir: stagedDir })
  let failed: FailedQuery | undefined
  const { lockTimeoutMs } = config
  const sessions = {
    open: () => openToolSession({ url: database.url, lockTimeoutMs, onNotice: () => {} }),
    onFailure: (query: FailedQuery) => {
      failed ??= query
    },
  }
  const options = () => ({
    ...settings,
    // Our sessions connect; the tool reads the name of the database here, and keeps a pool for each text.
    connectionString: `socket:/?db=${encodeURIComponent(database.name)}&run=${randomUUID()}`,
    logger: new Logger(() => () => {}),
  })
  const until = Date.now() + BUSY_MS
  while (true) {
    try {
      await recordChanges(database, () => withToolSessions(sessions, () => migrate(options())))
      return undefined
    } catch (error) {
      if (!isToolLockBusy(error) || Date.now() > until)
        return describe(failed, error, run, settings)
    }
    await sleep(RETRY_MS, undefined, { signal: run.signal })
  }
}

function describe(
  failed: FailedQuery | undefined,
  error: unknown,
  { config, database }: CommandRun,
  settings: Awaited<ReturnType<typeof createCommandSettings>>,
): Failure {
  if (failed === undefined || !isOfPostgres(failed.error))
    return { message: (error as Error).message }
  const placeholders = listPlaceholders({ settings, databaseName: database.name })
  return describeFailure(failed, { migrationsDir: config.migrationsDir, placeholders })
}

/** Whether the development database has a committed migration. */
export async function hasMigration({ database }: CommandRun, hash: string): Promise<boolean> {
  return withClient(database.url, async (client) => {
    const { rows } = await client.query(
      "select to_regclass('graphile_migrate.migrations') is not null as exists",
    )
    if (rows[0]?.exists !== true) return false
    const found = await client.query('select from graphile_migrate.migrations where hash = $1', [
      hash,
    ])
    return found.rows.length > 0
  })
}

/** Takes a migration out of the history of the development database; what it made stays. */
export async function forgetMigration({ database }: CommandRun, hash: string): Promise<void> {
  await recordChanges(database, () =>
    withClient(database.url, async (client) => {
      await client.query('delete from graphile_migrate.migrations where hash = $1', [hash])
    }),
  )
}
