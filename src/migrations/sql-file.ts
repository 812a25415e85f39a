import type { Client, DatabaseError } from 'pg'
import { isBlocked, isConnectionLost, sqlstateOf } from '../postgres/errors.ts'
import { liftTimeLimits } from '../postgres/session-settings.ts'
import type { CommittedMigration } from './files/migration.ts'
import { UNDO } from './tool/leftovers.ts'
import { replacePlaceholders } from './tool/location.ts'
import type { ToolError } from './tool/messages.ts'
import { type MigrationText, openLargeText, openLoadedText } from './tool/migration-text.ts'
import type { ToolSettings } from './tool/settings.ts'
import { describeFailure } from './tool/tool-pool.ts'

/** A file of SQL, in memory or too large for that. */
export type SqlFile = Pick<CommittedMigration, 'path' | 'body' | 'bodyLine'>

/** The file has a statement that fails, or one that it must not have: where, and why. */
export class SqlFileError extends Error {
  readonly report: ToolError

  constructor(report: ToolError, cause?: unknown) {
    super(report.message, { cause })
    this.report = report
  }
}

/**
 * Runs a file in the transaction that is open on this session, after undoing what the file before left in
 * it. Throws a SqlFileError; a lost connection or a lock that was not available as it is.
 */
export async function runSqlFile(
  session: Client,
  file: SqlFile,
  { placeholders, pgSettings }: Pick<ToolSettings, 'placeholders' | 'pgSettings'>,
): Promise<void> {
  await beginAsNewSession(session, pgSettings)
  const text = await openText(file, placeholders, await readStringSyntax(session))
  const { refusal } = text
  if (refusal !== undefined) {
    throw new SqlFileError({ message: refusal.problem, refusal, ...text.refusedAt })
  }
  const statements = countStatements(session)
  try {
    for await (const script of text.scripts()) {
      session.query(script)
      await script.done
    }
    // What a commit would check.
    await session.query('set constraints all immediate')
  } catch (error) {
    if (isBlocked(error) || isConnectionLost(error) || sqlstateOf(error) === undefined) throw error
    const place = await text.locateFailure(error as DatabaseError, statements.completed)
    throw new SqlFileError({ ...describeFailure(error), ...place }, error)
  } finally {
    statements.stop()
  }
}

async function openText(
  { path, body, bodyLine }: SqlFile,
  placeholders: ToolSettings['placeholders'],
  syntax: { standardStrings: boolean },
): Promise<MigrationText> {
  const options = { ...syntax, noTransaction: false }
  if (body === undefined) {
    return openLargeText({ path, bodyLine, placeholders, noTransaction: false }, options)
  }
  const sent = replacePlaceholders(body, placeholders)
  return openLoadedText(
    { sent, body: () => ({ text: body, line: bodyLine }), placeholders },
    options,
  )
}

/**
 * Undoes what the file before left in the session, and applies what each file begins with. A lock that
 * another session holds is waited for by trying all of it again.
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
