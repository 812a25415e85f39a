import { randomBytes } from 'node:crypto'
import type { DatabaseError } from 'pg'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { applicationName } from '../../postgres/application-name.ts'
import type { Queryable } from '../../postgres/client.ts'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { isConnectionLost, isConnectionRefusedForNow, sqlstateOf } from '../../postgres/errors.ts'
import { retryConnecting } from '../../postgres/retry.ts'
import type { SqlAction } from './action-settings.ts'
import { cancelSessions, describeSession } from './cancel.ts'
import { type Location, locate, replacePlaceholders, toOffset } from './location.ts'
import { MAX_NOTICES } from './messages.ts'
import { type ToolSettings, wrongPgSettingError } from './settings.ts'

export interface ActionsOptions {
  /** Opens a session for one action. */
  readonly open: (purpose: string) => Promise<SessionClient>
  readonly settings: ToolSettings
  /** Cancels an action over a connection of its own. */
  readonly pool: Queryable
  /** How long to try for a connection. */
  readonly waitMs: number
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Runs SQL actions of `.gmrc`, each in a session of its own with the settings that migrations have.
 * The service runs them rather than the tool, which would run them each time that it is tried again,
 * and could not say which file failed.
 */
export async function runActions(
  actions: readonly SqlAction[],
  options: ActionsOptions,
): Promise<void> {
  for (const action of actions) {
    options.signal.throwIfAborted()
    const startedAt = performance.now()
    await runAction(action, options)
    const durationMs = Math.round(performance.now() - startedAt)
    options.log.info({ hook: action.hook, file: action.file, durationMs }, 'action run')
  }
}

async function runAction(action: SqlAction, options: ActionsOptions): Promise<void> {
  const { open, settings, pool, waitMs, log, signal } = options
  const purpose = `action ${randomBytes(4).toString('hex')}`
  const client = await retryConnecting(() => open(purpose), { waitMs, log, signal })
  const session = describeSession(applicationName(purpose), client)
  const cancel = () => void cancelSessions(pool, session, log)
  signal.addEventListener('abort', cancel, { once: true })
  try {
    logNotices(client, action, log)
    for (const [name, value] of Object.entries(settings.pgSettings)) {
      await client
        .query('select pg_catalog.set_config($1, $2, false)', [name, value])
        .catch((error) => {
          if (sqlstateOf(error) === undefined || isConnectionLost(error)) throw error
          throw wrongPgSettingError(name, error.message)
        })
    }
    await client.query(replacePlaceholders(action.text, settings.placeholders))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ServiceError) throw error
    if (isConnectionLost(error) || isConnectionRefusedForNow(error)) throw error
    throw actionFailedError(action, error as DatabaseError, settings.placeholders)
  } finally {
    signal.removeEventListener('abort', cancel)
    await client.end().catch(() => {})
  }
  if (client.getTransactionStatus() !== 'I') {
    const message = 'it begins a transaction and does not end it'
    throw actionFailedError(action, { message }, settings.placeholders)
  }
}

function logNotices(client: SessionClient, { hook, file }: SqlAction, log: Log): void {
  let notices = 0
  client.on('notice', ({ severity, message: notice }) => {
    if (++notices > MAX_NOTICES) return
    log[severity === 'WARNING' ? 'warn' : 'info']({ hook, file, notice }, 'notice from an action')
    if (notices === MAX_NOTICES) log.info({ hook, file }, 'further notices are not logged')
  })
}

function actionFailedError(
  { hook, file, text }: SqlAction,
  { message, code, detail, hint, where, position }: Partial<DatabaseError>,
  placeholders: ToolSettings['placeholders'],
): ServiceError {
  const { line, text: lineText } = locatePosition(text, placeholders, position)
  const report = [
    code === undefined ? message : `${message} (${code})`,
    line && `line ${line}: ${lineText}`,
    where && `context: ${where}`,
    detail && `detail: ${detail}`,
    hint && `hint: ${hint}`,
  ]
    .filter(Boolean)
    .map((part) => String(part).replace(/[\s.;]+$/, ''))
  const outcome =
    hook === 'beforeAllMigrations'
      ? 'no migration was run'
      : 'the migrations stay applied, so it is not run again before another one is pending: run it yourself'
  return new ServiceError(
    'action_failed',
    `${hook}: ${file} failed: ${report.join('; ')}; ${outcome}`,
    {
      extensions: {
        hook,
        file,
        line,
        text: lineText,
        sqlstate: code,
        context: where,
        postgresMessage: message,
        postgresDetail: detail,
        hint,
      },
    },
  )
}

/** The line of the file that PostgreSQL's position means, if it gives one. */
function locatePosition(
  text: string,
  placeholders: ToolSettings['placeholders'],
  position: string | undefined,
): Partial<Location> {
  if (position === undefined) return {}
  const offset = toOffset(replacePlaceholders(text, placeholders), Number(position))
  return locate({ text, line: 1 }, placeholders, offset)
}
