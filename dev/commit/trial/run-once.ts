import type { Client, DatabaseError } from 'pg'
import { isConnectionLost } from '../../../src/postgres/errors.ts'
import { type FailedQuery, isOfPostgres, openToolSession } from '../../loop/tool-session.ts'
import type { MigrationText, ParsedStatement } from '../text/migration-text.ts'

export interface RunOptions {
  readonly url: string
  readonly text: MigrationText
  /** Of `.gmrc`, as graphile-migrate sets them. */
  readonly pgSettings: Readonly<Record<string, string>>
  readonly lockTimeoutMs: number
  readonly onNotice: (text: string) => void
  readonly signal: AbortSignal
}

export interface RunResult {
  /** The statement that failed; then all of it was rolled back. */
  readonly failed: FailedQuery | undefined
  /** What the migration leaves in its session. */
  readonly leftInSession: readonly string[]
  /** By how many rows each table grew, or shrank. */
  readonly rows: readonly { readonly table: string; readonly count: number }[]
}

/**
 * Runs the migration as graphile-migrate does, but statement by statement, so that an error has its place. Rejects if the
 * connection is lost.
 */
export async function runOnce(options: RunOptions): Promise<RunResult> {
  const { text, pgSettings, signal } = options
  const session = await openToolSession(options)
  const stop = () => session.end().catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  try {
    const before = await readSession(session)
    if (!text.noTransaction) await session.query('begin')
    for (const [name, value] of Object.entries(pgSettings)) {
      await session.query('select set_config($1, $2, $3)', [name, value, !text.noTransaction])
    }
    const failed = await runStatements(session, text)
    if (failed !== undefined) return { failed, leftInSession: [], rows: [] }
    const rows = text.noTransaction ? [] : await readRows(session)
    if (!text.noTransaction) await session.query('commit')
    const set = Object.keys(pgSettings).map((name) => `the setting ${name}`)
    const leftInSession = (await readSession(session)).filter(
      (one) => !before.includes(one) && !set.some((setting) => one.startsWith(`${setting} `)),
    )
    return { failed: undefined, leftInSession, rows }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    await session.end()
  }
}

async function runStatements(
  session: Client,
  text: MigrationText,
): Promise<FailedQuery | undefined> {
  for (const [completed, statement] of text.statements.entries()) {
    try {
      await session.query(statement.text)
    } catch (error) {
      if (!isOfPostgres(error) || isConnectionLost(error)) throw error
      return {
        sent: text.sql,
        completed,
        error: moveError(error as DatabaseError, statement, text),
      }
    }
  }
  // Constraints that are deferred fail at the commit.
  if (text.noTransaction) return undefined
  try {
    await session.query('set constraints all immediate')
    return undefined
  } catch (error) {
    if (isConnectionLost(error)) throw error
    return { sent: text.sql, completed: text.statements.length, error }
  }
}

/** PostgreSQL counts from the beginning of the statement. */
function moveError(error: DatabaseError, { start }: ParsedStatement, { sql }: MigrationText) {
  if (error.position !== undefined) {
    error.position = String(Number(error.position) + [...sql.slice(0, start)].length)
  }
  return error
}

async function readRows(session: Client) {
  const { rows } = await session.query<{ table: string; count: number }>(`
    select format('%I.%I', schemaname, relname) as table, (n_tup_ins - n_tup_del)::int as count
      from pg_catalog.pg_stat_xact_user_tables
     where n_tup_ins <> n_tup_del
       and schemaname !~ '^(pg_|graphile_migrate$|provisioning$)'
     order by 1`)
  return rows
}

/** What a session has of its own, as texts. */
async function readSession(session: Client): Promise<string[]> {
  const { rows } = await session.query<{ left: string }>(`
    select format('the setting %s = %L', name, setting) as left
      from pg_catalog.pg_settings
     where source in ('session', 'client')
    union all
    select format('the role %I', current_user) where current_user <> session_user
    union all
    select format('the prepared statement %I', name) from pg_catalog.pg_prepared_statements
    union all
    select format('the temporary table %I', relname)
      from pg_catalog.pg_class
     where relnamespace = pg_catalog.pg_my_temp_schema() and relkind = 'r'
    union all
    select format('an advisory lock (%s, %s)', classid, objid)
      from pg_catalog.pg_locks
     where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()
    union all
    select format('listening on %I', channel) from pg_catalog.pg_listening_channels() as channel
    union all
    select format('the cursor %I', name) from pg_catalog.pg_cursors where is_holdable
    order by 1`)
  return rows.map(({ left }) => left)
}
