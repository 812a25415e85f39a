import type { Client } from 'pg'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../logger.ts'
import { describeError, isOnlyInThisTransaction } from '../postgres/errors.ts'
import { createToolSettings } from './apply.ts'
import { readCommittedMigrations } from './files/committed.ts'
import type { CommittedMigration } from './files/migration.ts'
import type { Seed } from './files/seeds.ts'
import type { OptionalSchema } from './optional-schema.ts'
import { trySeeds } from './seeds.ts'
import { runSqlFile, SqlFileError } from './sql-file.ts'
import { migrationFailedError } from './tool/failure.ts'
import type { ToolSettings } from './tool/settings.ts'

export interface TrialOptions {
  readonly config: Pick<Config, 'migrationsDir' | 'placeholderVariables' | 'secrets'>
  readonly database: Pick<Database, 'url' | 'name'>
  readonly optionalSchema: OptionalSchema
  /** Tried after the migrations. */
  readonly seeds?: readonly Seed[]
  readonly log: Log
  /** Aborts when the service stops, which also ends the statement that runs. */
  readonly signal: AbortSignal
}

/** All committed migrations, ready to be tried on a database from which everything was dropped. */
export interface MigrationTrial {
  /**
   * Runs the migrations in the transaction that is open on this session, and that the caller rolls back.
   * Throws what a migration fails with; logs which migrations cannot be tried this way.
   */
  run(session: Client): Promise<void>
}

/** Reads the files and `.gmrc`, and throws if one of them is wrong. `client` is any session. */
export async function prepareTrial(
  client: Client,
  { config, database, optionalSchema, seeds = [], log, signal }: TrialOptions,
): Promise<MigrationTrial> {
  const migrations = await readCommittedMigrations(config.migrationsDir)
  const { placeholder, wanted = 'on' } = optionalSchema
  const placeholders = { [placeholder]: wanted }
  const { settings, actions } = await createToolSettings({ client, config, database, placeholders })
  return {
    async run(session) {
      for (const [index, migration] of migrations.entries()) {
        const reason =
          actions.before.length > 0
            ? 'beforeAllMigrations of .gmrc runs in transactions of its own'
            : await tryMigration(session, migration, settings).catch((error) => {
                signal.throwIfAborted()
                throw error
              })
        if (reason === undefined) continue
        const left = migrations.slice(index)
        log.warn(
          { from: migration.filename, tried: index, notTried: left.length, reason },
          'migrations that cannot be tried before a rebuild drops everything',
        )
        return
      }
      await trySeeds(session, seeds, settings).catch((error) => {
        signal.throwIfAborted()
        throw error
      })
      log.info({ tried: migrations.length }, 'tried all migrations before dropping anything')
    },
  }
}

/** Returns why the migration cannot be tried; throws what it fails with. */
async function tryMigration(
  session: Client,
  migration: CommittedMigration,
  settings: ToolSettings,
): Promise<string | undefined> {
  if (migration.noTransaction) return 'it runs outside a transaction'
  try {
    await runSqlFile(session, migration, settings)
    return undefined
  } catch (error) {
    if (!(error instanceof SqlFileError)) throw error
    if (isOnlyInThisTransaction(error.cause)) return describeError(error.cause)
    throw migrationFailedError(migration, { ...error.report, isTrial: true })
  }
}
