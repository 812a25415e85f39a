import type { Client, DatabaseError } from 'pg'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../logger.ts'
import {
  describeError,
  isBlocked,
  isConnectionLost,
  isOnlyInThisTransaction,
  sqlstateOf,
} from '../postgres/errors.ts'
import { liftTimeLimits } from '../postgres/session-settings.ts'
import { createToolSettings } from './apply.ts'
import { readCommittedMigrations } from './files/committed.ts'
import type { CommittedMigration } from './files/migration.ts'
import type { OptionalSchema } from './optional-schema.ts'
import { migrationFailedError } from './tool/failure.ts'
import { UNDO } from './tool/leftovers.ts'
import { type Location, replacePlaceholders } from './tool/location.ts'
import type { ToolError } from './tool/messages.ts'
import { type MigrationText, openLargeText, openLoadedText } from './tool/migration-text.ts'
import type { ToolSettings } from './tool/settings.ts'
import { describeFailure } from './tool/tool-pool.ts'

export interface TrialOptions {
  readonly config: Pick<Config, 'migrationsDir' | 'placeholderVariables' | 'secrets'>
  readonly database: Pick<Database, 'url' | 'name'>
  readonly optionalSchema: OptionalSchema
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
  { config, database, optionalSchema, log, signal }: TrialOptions,
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
      log.info({ tried: migrations.length }, 'tried all migrations before dropping anything')
    },
  }
}

/** Returns why the migration cannot be tried; throws what it fails with. */
async function tryMigration(
  session: Client,
  migration: CommittedMigration,
  { placeholders, pgSettings }: ToolSettings,
): Promise<string | undefined> {
  if (migration.noTransaction) return 'it runs outside a transaction'
  const fail = (error: ToolError, place: Location | undefined) =>
    migrationFailedError(migration, { ...error, isTrial: true, ...place })
  await beginAsNewSession(session, pgSettings)
  const text = await openText(migration, placeholders, await readStringSyntax(session))
  const { refusal } = text
  if (refusal !== undefined) throw fail({ message: refusal.problem, refusal }, text.refusedAt)
  const statements = countStatements(session)
  try {
    for await (const script of text.scripts()) {
      session.query(script)
      await script.done
    }
    // What a commit would check.
    await session.query('set constraints all immediate')
    return undefined
  } catch (error) {
    if (isBlocked(error) || isConnectionLost(error) || sqlstateOf(error) === undefined) throw error
    if (isOnlyInThisTransaction(error)) return describeError(error)
    const place = await text.locateFailure(error as DatabaseError, statements.completed)
    throw fail(describeFailure(error), place)
  } finally {
    statements.stop()
  }
}

async function openText(
  migration: CommittedMigration,
  placeholders: ToolSettings['placeholders'],
  syntax: { standardStrings: boolean },
): Promise<MigrationText> {
  const options = { ...syntax, noTransaction: false }
  const { body, bodyLine: line } = migration
  if (body === undefined) return openLargeText({ ...migration, placeholders }, options)
  const sent = replacePlaceholders(body, placeholders)
  return openLoadedText({ sent, body: () => ({ text: body, line }), placeholders }, options)
}

/**
 * Undoes what the file before left in the session, and applies what each file begins with. A lock that
 * another session holds is waited for by trying the whole rebuild again.
 */
async function beginAsNewSession(session: Client, pgSettings: ToolSettings['pgSettings']) {
  await session.query(UNDO.join(';\n'))
  await liftTimeLimits(session)
  await session.query(
    'select pg_catalog.set_config(key, value, false) from pg_catalog.jsonb_each_text($1)',
    [{ lock_timeout: '2s', ...pgSettings }],
  )
}

async function readStringSyntax(session: Client): Promise<{ standardStrings: boolean }> {
  const { rows } = await session.query<{ standardStrings: boolean }>(
    `select pg_catalog.current_setting('standard_conforming_strings')::boolean as "standardStrings"`,
  )
  return { standardStrings: rows[0]?.standardStrings !== false }
}

/** Counts the statements that complete, because an error without a position does not say which one failed. */
function countStatements(session: Client) {
  const { connection } = session as unknown as { connection: NodeJS.EventEmitter }
  let completed = 0
  const onComplete = () => {
    completed++
  }
  connection.on('commandComplete', onComplete)
  return {
    get completed() {
      return completed
    },
    stop: () => void connection.off('commandComplete', onComplete),
  }
}
