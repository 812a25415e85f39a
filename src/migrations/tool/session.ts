import pg from 'pg'
import type { SessionClient } from '../../postgres/connection/client.ts'
import { NO_TIME_LIMITS } from '../../postgres/connection/time-limits.ts'
import { parseConnectionUrl } from '../../postgres/connection/url.ts'
import type { Ahead } from './ahead.ts'
import {
  type Connection,
  type ConnectionListener,
  type ConnectionOptions,
  NOTHING_RUN,
  openConnection,
  type Report,
} from './connection.ts'
import { PLAIN_PATH, type SessionState, stateQuery, UNDO } from './leftovers.ts'
import type { Script } from './script.ts'
import { reportWaiting } from './silence.ts'

/** The key of the lock that graphile-migrate holds while it migrates. */
const TOOL_LOCK_KEY = '4727445306447283'

/**
 * Acquires the tool's lock as the tool does, if nobody holds it, and goes on to hold it shared: no other tool can acquire
 * it, but our next session can join.
 */
export const ACQUIRE_LOCK = `
  select case when pg_catalog.pg_try_advisory_lock(${TOOL_LOCK_KEY})
              then pg_catalog.pg_try_advisory_lock_shared(${TOOL_LOCK_KEY})
                   and pg_catalog.pg_advisory_unlock(${TOOL_LOCK_KEY})
              else false
         end as locked`

const SHARE_LOCK = `select pg_catalog.pg_try_advisory_lock_shared(${TOOL_LOCK_KEY})`

type Settings = Readonly<Record<string, string>>

export interface SessionOptions extends ConnectionOptions, ConnectionListener {
  /** A connection that may be there already. */
  readonly ahead?: Ahead<Connection> | undefined
  /** It shares the tool's lock with the session that holds it. */
  readonly sharesLock: boolean
  /** Set at the beginning of the session, and again before a file is recorded. */
  readonly pgSettings: Settings
  readonly lockTimeoutMs: number
  /** The session's backend: it is open, or was ended. One whose connection was cut may still run. */
  readonly onSession: (backendPid: number, isOpen: boolean) => void
  /** Called again and again while a statement has no answer, with the backend that runs it. */
  readonly onWaiting: (backendPid: number) => void
}

/** A setting of `pgSettings` that PostgreSQL refuses. */
export class WrongPgSettingError extends Error {
  readonly setting: string
  readonly code: string | undefined

  constructor(setting: string, cause: pg.DatabaseError) {
    super(cause.message, { cause })
    this.setting = setting
    this.code = cause.code
  }
}

/** One session with the database, as a new connection has it, with the settings of `.gmrc`. */
export interface Session {
  readonly client: SessionClient
  /** What it began with. */
  readonly initial: SessionState
  /** What PostgreSQL has reported since the last `beginFile` or `undoAndRun`. */
  readonly report: Readonly<Report>
  /** PostgreSQL's `standard_conforming_strings`. */
  readonly standardStrings: boolean
  /** Its `client_encoding`. */
  readonly encoding: string
  /** Prepares for a file's own text: nothing of it was run. */
  beginFile(options: { isInTransaction: boolean }): Promise<void>
  /** Runs a file's own text or a part of it, and keeps none of its results. */
  run(script: Script): Promise<void>
  /**
   * Puts the session back to how it began and then runs `statement`, the entry in the history. The
   * first statement that completes checks the constraints that the file deferred.
   */
  undoAndRun(
    statement: string,
    options?: { lockWaitMs?: number | undefined },
  ): Promise<SessionState>
  end(): Promise<void>
}

/** Opens a session; throws a WrongPgSettingError if PostgreSQL refuses one of `pgSettings`. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const connection = (await options.ahead?.take(options.url)) ?? (await openConnection(options))
  const { client, report, parameters } = connection
  connection.listen(options)
  const { backendPid } = client
  if (backendPid !== undefined) options.onSession(backendPid, true)
  reportWaiting(client, options.onWaiting)
  const apply = settingsQuery(
    {
      ...(options.lockTimeoutMs > 0 && { lock_timeout: `${options.lockTimeoutMs}ms` }),
      ...parseConnectionUrl(options.url).options,
      ...options.pgSettings,
    },
    NO_TIME_LIMITS,
  )
  const preparation = options.sharesLock ? [SHARE_LOCK, apply] : [apply]
  const initial = await readState(client, preparation).catch(async (error) => {
    await assertSettings(client, options.pgSettings)
    throw error
  })

  return {
    client,
    initial,
    report,
    get standardStrings() {
      return parameters.get('standard_conforming_strings') !== 'off'
    },
    get encoding() {
      return parameters.get('client_encoding') ?? ''
    },
    async beginFile({ isInTransaction }) {
      const hasLockTimeout = options.lockTimeoutMs > 0 && !('lock_timeout' in options.pgSettings)
      // Such a file is not run again, so it waits.
      if (!isInTransaction && hasLockTimeout) await client.query('set lock_timeout = 0')
      Object.assign(report, NOTHING_RUN)
    },
    async run(script) {
      client.query(script)
      await script.done
    },
    async undoAndRun(statement, { lockWaitMs } = {}) {
      const wait = lockWaitMs === undefined ? [] : [`set local lock_timeout = ${lockWaitMs}`]
      const statements = [...UNDO, apply, PLAIN_PATH, ...wait, statement, stateQuery(TOOL_LOCK_KEY)]
      Object.assign(report, NOTHING_RUN)
      return lastRow(await client.query(statements.join(';\n')))
    },
    async end() {
      const isEnded = await client.end().then(
        () => true,
        () => false,
      )
      if (isEnded && backendPid !== undefined) options.onSession(backendPid, false)
    },
  }
}

/** Sets these, and of the defaults those that the server has. What it reads is the same in every search_path. */
function settingsQuery(settings: Settings, defaults: Settings = {}): string {
  const rows = Object.entries({ ...defaults, ...settings }).map(
    ([name, value]) =>
      `(${pg.escapeLiteral(name)}, ${pg.escapeLiteral(value)}, ${name in settings})`,
  )
  return `select pg_catalog.count(pg_catalog.set_config(name, value, false))
            from (values ${rows.join(', ')}) as setting (name, value, is_required)
           where is_required or pg_catalog.current_setting(name, true) is not null`
}

/** Finds the setting that PostgreSQL refuses, by trying one after another. */
async function assertSettings(client: pg.Client, settings: Settings): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    await client.query(settingsQuery({ [name]: value })).catch((error) => {
      throw new WrongPgSettingError(name, error)
    })
  }
}

/** Prepares the session and reads what it begins with, in one round trip. */
async function readState(client: pg.Client, preparation: readonly string[]): Promise<SessionState> {
  const statements = [...preparation, PLAIN_PATH, stateQuery(TOOL_LOCK_KEY)]
  return lastRow(await client.query(statements.join(';\n')))
}

/** The driver returns an array for a text of several statements, which its types do not say. */
function lastRow(results: unknown): SessionState {
  const state = (results as pg.QueryResult<SessionState>[]).at(-1)?.rows[0]
  if (state === undefined) throw new Error('PostgreSQL did not report the state of the session')
  return state
}
