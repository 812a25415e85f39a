import { join } from 'node:path'
import pg from 'pg'
import type { SessionClient } from '../../postgres/connection/client.ts'
import type { CommittedMigration } from '../files/migration.ts'
import { type Ahead, openAhead } from './ahead.ts'
import type { Connection } from './connection.ts'
import { type FileSessions, type FileSessionsOptions, openFileSessions } from './file-sessions.ts'
import type { Inspected } from './inspection.ts'
import { type Location, loadBody } from './location.ts'
import type { Phase, ToolError, ToolJob } from './messages.ts'
import { type MigrationText, openLargeText, openLoadedText } from './migration-text.ts'
import type { Refusal } from './refusal.ts'
import { ACQUIRE_LOCK, openSession, type Session, WrongPgSettingError } from './session.ts'

/** What the tool does at the moment, for notices and errors. */
export interface ToolRun {
  readonly job: ToolJob
  readonly applicationName: string
  readonly onClient: (client: SessionClient) => void
  /** A connection for the first session. */
  readonly ahead: Ahead<Connection> | undefined
  /** The full name of the migration's file that the tool runs. */
  filename: string | undefined
  phase: Phase
  /** The first failure; what follows from it is of no interest. */
  failure: ToolError | undefined
  /** By name: what the tool gets of them is not what runs. */
  readonly largeFiles: Map<string, LargeMigration>
  /** Texts that were inspected when this program was built. */
  readonly inspected: readonly Inspected[]
  readonly onNotice: (severity: string, text: string) => void
  readonly onFileEnd: () => void
  readonly onFileSent: (isLast: boolean) => void
  readonly onSession: (backendPid: number, isOpen: boolean) => void
  readonly onWaiting: (backendPid: number) => void
}

/** A committed file that is too large to be kept in memory. */
export type LargeMigration = Pick<CommittedMigration, 'path' | 'bodyLine' | 'noTransaction'>

/** What the driver returns for a statement without rows. */
const NO_ROWS = { rows: [], rowCount: 0 }

/** Its last question before it reads the files. */
const LAST_MIGRATION =
  'select filename, previous_hash as "previousHash", hash, date from graphile_migrate.migrations ' +
  'order by filename desc limit 1'

const CHANGED_SYNTAX =
  'the file changes standard_conforming_strings or client_encoding: a file of this size is sent in ' +
  'parts, and PostgreSQL would read those that follow differently; remove the statement, since ' +
  'migrations are in UTF-8 and in standard syntax'

/** The part of a query that the tool passes. */
type ToolQuery = string | { text: string; name?: string; values?: string[] }

/**
 * Creates what takes the place of the driver's pool. Its connection looks like one session to the tool, and gives each
 * file one of its own. It has no error of its own to report, at which the tool would end the process.
 */
export function createToolPool(run: ToolRun): object {
  return { on() {}, connect: () => connect(run), async end() {} }
}

async function connect(run: ToolRun): Promise<ToolConnection> {
  return new ToolConnection(run, await openFileSessions(sessionsOf(run), run.ahead))
}

class ToolConnection {
  readonly #run: ToolRun
  readonly #sessions: FileSessions
  /** How often the tool has acquired its lock. It does so again for each file. */
  #locks = 0
  #hasBegun = false
  #mayCommit = false
  #isInTransaction = false

  constructor(run: ToolRun, sessions: FileSessions) {
    this.#run = run
    this.#sessions = sessions
  }

  get #session(): Session {
    return this.#sessions.current
  }

  /** Recognizes the statements of graphile-migrate 2.0.0-rc.3 by their whole text: a file may contain it. */
  async query(query: ToolQuery, values?: unknown[]): Promise<object> {
    if (typeof query !== 'string') {
      return query.values === undefined ? this.#runFile(query.text) : this.#record(query.values)
    }
    switch (query) {
      case 'select pg_try_advisory_lock($1) as locked':
        return this.#lock()
      case 'select pg_advisory_unlock($1)':
        return this.#unlock()
      case LAST_MIGRATION:
        return this.#readLastMigration(query)
      case 'begin':
        this.#isInTransaction = true
        return this.#session.client.query(query)
      case 'commit':
        return this.#commit()
      case 'rollback':
        this.#isInTransaction = false
        return this.#session.client.query(query)
      default:
        return this.#session.client.query(query, values)
    }
  }

  /** Not waited for: the tool has nothing to do any more, and a session takes milliseconds to end. */
  release(): void {
    void this.#sessions.end()
  }

  async #readLastMigration(text: string): Promise<object> {
    const result = this.#session.client.query(text)
    const { firstFilename, lastFilename } = this.#run.job
    // While the tool reads the files.
    if (firstFilename !== lastFilename) void this.#sessions.inspectCode()
    return result
  }

  async #lock(): Promise<object> {
    if (this.#locks === 0) {
      const result = await this.#session.client.query<{ locked: boolean }>(ACQUIRE_LOCK)
      if (result.rows[0]?.locked) this.#locks = 1
      return result
    }
    await this.#watch('session', async () => {
      const beginning = this.#hasBegun ? undefined : this.#run.job.beforeFirstFile()
      this.#hasBegun = true
      await Promise.all([this.#sessions.prepare({ isLast: this.#isLastFile() }), beginning])
    })
    this.#locks++
    return { rows: [{ locked: true }] }
  }

  async #unlock(): Promise<object> {
    this.#locks--
    if (this.#locks > 0) return NO_ROWS
    return this.#session.client.query('select pg_catalog.pg_advisory_unlock_all()')
  }

  async #commit(): Promise<object> {
    const result = await this.#watch('commit', () => this.#session.client.query('commit'))
    this.#isInTransaction = false
    return result
  }

  async #runFile(sent: string): Promise<object> {
    const text = await this.#openText(sent)
    if (text.refusal !== undefined) throw this.#refuse(text.refusal, text.refusedAt)
    this.#sessions.noteFile(text, { isLast: this.#isLastFile() })
    const session = this.#session
    const work = async () => {
      if (!this.#isInTransaction) await this.#allowCommit()
      await session.beginFile({ isInTransaction: this.#isInTransaction })
      await this.#runScripts(text)
    }
    await this.#watch('file', work, (error) =>
      text.locateFailure(error, session.report.completed),
    ).finally(this.#run.onFileEnd)
    await this.#assertTransaction()
    return NO_ROWS
  }

  /** `sent` is the tool's text of the file; in place of a large one it has a stand-in. */
  async #openText(sent: string): Promise<MigrationText> {
    const { filename, job, largeFiles, inspected } = this.#run
    const { placeholders } = job
    const { standardStrings } = this.#session
    const options = { standardStrings, noTransaction: !this.#isInTransaction }
    const largeFile = filename === undefined ? undefined : largeFiles.get(filename)
    if (largeFile !== undefined) return openLargeText({ ...largeFile, placeholders }, options)
    const body = () =>
      filename === undefined
        ? undefined
        : loadBody(join(job.migrationsFolder, 'committed', filename))
    return openLoadedText({ sent, body, placeholders, inspected }, options)
  }

  async #runScripts(text: MigrationText): Promise<void> {
    const session = this.#session
    const { standardStrings, encoding } = session
    let isFirst = true
    for await (const script of text.scripts()) {
      if (!isFirst && !this.#isAsBefore()) return
      const isChanged = session.standardStrings !== standardStrings || session.encoding !== encoding
      if (!isFirst && isChanged) throw new Error(CHANGED_SYNTAX)
      const done = session.run(script)
      if (isFirst) this.#run.onFileSent(this.#isLastFile())
      isFirst = false
      await done
    }
  }

  /** Waits for what has to be there before anything of a file is. */
  async #allowCommit(): Promise<void> {
    if (this.#mayCommit) return
    await this.#run.job.beforeFirstCommit()
    this.#mayCommit = true
  }

  #isLastFile(): boolean {
    return this.#run.filename === this.#run.job.lastFilename
  }

  /** Whether the transaction is as the file found it. */
  #isAsBefore(): boolean {
    const { status, hasBegun, hasCommitted } = this.#session.report
    return this.#isInTransaction ? status === 'T' && !hasBegun && !hasCommitted : status === 'I'
  }

  /** The last defence against a file that controls its transaction: what PostgreSQL says. */
  async #assertTransaction(): Promise<void> {
    if (this.#isAsBefore()) return
    if (!this.#isInTransaction) await this.#session.client.query('rollback')
    throw this.#refuse({
      reason: 'transaction_control',
      statement: '',
      problem: this.#isInTransaction
        ? 'has ended the transaction that it runs in'
        : 'has left a transaction open, which was rolled back',
      remedy: this.#isInTransaction
        ? 'remove the statement that does so'
        : 'end the transaction in the file that begins it',
    })
  }

  /** Records the file, in a session that is again as it began. */
  async #record([hash, previousHash, filename]: (string | null)[]): Promise<object> {
    const values = [hash, previousHash, filename].map((value) =>
      value == null ? 'null' : pg.escapeLiteral(value),
    )
    const insert =
      'insert into graphile_migrate.migrations (hash, previous_hash, filename) ' +
      `values (${values.join(', ')})`
    // A file that has run outside a transaction cannot be tried again, so its record waits for longer.
    const lockWaitMs = this.#isInTransaction ? undefined : this.#run.job.recordWaitMs
    const state = await this.#watch('record', async () => {
      await this.#allowCommit()
      return this.#session.undoAndRun(insert, { lockWaitMs })
    })
    this.#sessions.noteState(state)
    return NO_ROWS
  }

  /** Notes the failure of `work` before the tool goes on to roll back. */
  async #watch<T>(
    phase: Phase,
    work: () => Promise<T>,
    locateFailure?: (error: pg.DatabaseError) => Promise<Location | undefined>,
  ): Promise<T> {
    this.#run.phase = phase
    try {
      return await work()
    } catch (error) {
      const { completed, hasCommitted } = this.#session.report
      const location =
        this.#run.failure === undefined && (await locateFailure?.(error as pg.DatabaseError))
      this.#run.failure ??= {
        ...describeFailure(error),
        // The first statement of recording a file checks the constraints that the file deferred.
        phase: phase === 'record' && completed === 0 ? 'file' : phase,
        ...location,
        ...(this.#isInTransaction && hasCommitted && { hasCommitted }),
      }
      throw withoutPosition(error)
    } finally {
      this.#run.phase = 'session'
    }
  }

  #refuse(
    { reason, statement, problem, remedy }: Omit<Refusal, 'offset'>,
    location?: Location,
  ): Error {
    this.#run.failure ??= {
      message: problem,
      phase: 'file',
      refusal: { reason, statement, problem, remedy },
      ...location,
    }
    return new Error(problem)
  }
}

function sessionsOf(run: ToolRun): FileSessionsOptions {
  const { url } = run.job
  return {
    url,
    openFirst: (ahead) => open(run, { ahead, sharesLock: false }),
    openNext: () => open(run),
    openAhead() {
      // Until then, its end is no failure.
      const use = { isTaken: false }
      const ahead = openAhead(
        url,
        () => open(run, { use }),
        (session) => session.end(),
      )
      return {
        ...ahead,
        take(wanted) {
          use.isTaken = true
          return ahead.take(wanted)
        },
      }
    },
  }
}

interface OpenOptions {
  readonly ahead?: Ahead<Connection> | undefined
  readonly sharesLock?: boolean
  readonly use?: { readonly isTaken: boolean }
}

function open(
  run: ToolRun,
  { ahead, sharesLock = true, use = { isTaken: true } }: OpenOptions = {},
): Promise<Session> {
  const { url, pgSettings, lockTimeoutMs = 0 } = run.job
  return openSession({
    ahead,
    sharesLock,
    url,
    applicationName: run.applicationName,
    onClient: run.onClient,
    pgSettings,
    lockTimeoutMs,
    onNotice: (severity, text) => {
      if (run.phase === 'file') run.onNotice(severity, text)
    },
    onSession: run.onSession,
    onWaiting: run.onWaiting,
    // The driver's own error, which follows, does not say why.
    onFatal: (error) => {
      if (use.isTaken) run.failure ??= { ...describeFailure(error), phase: run.phase }
    },
  })
}

/** Everything of an error but its place in PostgreSQL's own source. */
export function describeFailure(error: unknown): ToolError {
  const { message, code, detail, hint, where } = error as Partial<pg.DatabaseError>
  return {
    message: message ?? String(error),
    ...(code !== undefined && { code }),
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
    ...(where !== undefined && { where }),
    ...(error instanceof WrongPgSettingError && { setting: error.setting }),
  }
}

/** The tool would search a position in the text character by character, to print it. */
function withoutPosition(error: unknown): unknown {
  if (error instanceof Error) delete (error as Partial<pg.DatabaseError>).position
  return error
}
