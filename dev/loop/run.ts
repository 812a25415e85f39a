import { readCurrentDifferences } from '../../src/drift/current-changes.ts'
import type { Difference, ObjectDifference } from '../../src/drift/describe.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { replacePlaceholders } from '../../src/migrations/tool/location.ts'
import { openClient } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { isConnectionLost } from '../../src/postgres/errors.ts'
import { type ApplyOptions, applyCurrent, applyPending, forgetOther } from './apply.ts'
import { nameBlockers } from './blocked.ts'
import { findBodyErrors } from './body-check.ts'
import type { Failure } from './failure.ts'
import { removeLeftovers } from './leftovers.ts'
import { NotNowError } from './not-now.ts'
import { assertSameHistory, comparePending } from './other-history.ts'
import { listPlaceholders } from './placeholders.ts'
import { type Prepared, prepareCurrent } from './prepare.ts'
import { createRecorder, type Recorder } from './recorded-changes.ts'
import { createRestorer } from './restore.ts'
import { createSpareSessions } from './spare-sessions.ts'
import { isCommitted } from './sql-files.ts'
import { openToolSession } from './tool-session.ts'

export interface RunOptions extends Omit<ApplyOptions, 'open'> {
  readonly readUrl: () => string
  /** How long a statement waits for a lock; 0: no limit. */
  readonly lockTimeoutMs: number
  /**
   * Called when the database is found to have exactly the committed files. Where this is given, a run rejects with an
   * OtherHistoryError if it has not.
   */
  readonly noteHistory?: (() => Promise<void>) | undefined
  /** Writes `current.sql`, in place unless given. Throws if it cannot. */
  readonly write?: (path: string, text: string) => void
  readonly note: (text: string) => void
  /** Receives what was applied and will fail when it is used. */
  readonly warn?: (failure: Failure) => void
  /** Removes secrets from what the database keeps of a failure. */
  readonly mask?: (text: string) => string
}

export interface Applied {
  readonly failure: Failure | undefined
  /** Undefined where they are not known. */
  readonly changes: readonly Difference[] | undefined
  /** The text of `current.sql`, if the list in it was brought up to date. */
  readonly written?: string | undefined
  /** When it was committed or rolled back, in milliseconds since 1970. */
  readonly endedAt: number
}

export interface Runner {
  /**
   * Does what one save needs: lists the changed fixtures in `current.sql`, restores those that are not changed any
   * more, applies `current.sql`, and records what changed. `files` are those that were saved; none at the start. Rejects
   * with a NotNowError if it has to be run again.
   */
  run(files: readonly string[]): Promise<Applied>
  /** Ends the sessions that are kept between saves; a run that has not ended yet loses its own. */
  close(): Promise<void>
}

/** A session that is kept between saves, and what it is for. */
interface Kept {
  readonly client: SessionClient
  readonly recorder: Recorder
}

/** Creates what runs on each save. */
export function createRunner(options: RunOptions): Runner {
  const { readUrl, migrationsDir, lockTimeoutMs, note, warn = () => {}, mask = String } = options
  const placeholders = listPlaceholders(options)
  const onNotice = (text: string) => note(`notice: ${text}`)
  const open = () => openToolSession({ url: readUrl(), lockTimeoutMs, onNotice })
  const spare = createSpareSessions(open)
  const restorer = createRestorer({ placeholders, open: spare.take })
  const noteNew = createNews(note)
  const tool: ApplyOptions = { ...options, open: spare.take }
  let kept: Kept | undefined
  let idle: Promise<void> | undefined
  /** What was applied since has to be checked. */
  let unchecked: string | undefined
  let isClosed = false
  // The first run comes soon.
  spare.refill()

  async function keepSession(): Promise<Kept> {
    if (kept !== undefined) return kept
    const client = await openClient(readUrl(), 'development')
    const opened = { client, recorder: createRecorder(client, mask) }
    client.once('end', () => {
      if (kept === opened) kept = undefined
    })
    kept = opened
    return opened
  }

  async function run(files: readonly string[]): Promise<Applied> {
    const { client, recorder } = await keepSession()
    if (files.length === 0 || files.some(isCommitted)) {
      const failure = await followHistory(client, recorder)
      if (failure !== undefined) return { failure, changes: undefined, endedAt: Date.now() }
    }
    const begun = recorder.begin()
    let failure: Failure | undefined
    try {
      // While the server reads the schema.
      const prepared = prepareCurrent(migrationsDir, options.write)
      const began = await begun
      // The tool would take a text with other comments for the same, also inside a function.
      await forgetOther(client, replacePlaceholders(prepared.compiled, placeholders))
      failure = await restorer.restore(client, prepared)
      const applied = failure
        ? { failure, isUnchanged: false }
        : await nameBlockers({ client, open: spare.take, lockTimeoutMs, note }, (open) =>
            applyCurrent({ ...options, open }),
          )
      const endedAt = Date.now()
      failure = applied.failure
      if (failure === undefined) restorer.applied(prepared)
      if (began !== undefined && failure === undefined) {
        await clean(client, { ...applied, prepared, since: began.since })
        unchecked = began.since
      }
      if (prepared.problem !== undefined) failure ??= { message: prepared.problem }
      const changes = await recorder.finish(failure)
      return { failure, changes, written: prepared.written, endedAt }
    } catch (error) {
      await begun
      await recorder.finish(failure)
      throw error
    }
  }

  /** Applies pending migrations, and records what they change as theirs. Returns what prevents it. */
  async function followHistory(
    client: SessionClient,
    recorder: Recorder,
  ): Promise<Failure | undefined> {
    if (options.noteHistory !== undefined) {
      const failure = await assertSameHistory(client, migrationsDir)
      if (failure === undefined) await options.noteHistory()
      return failure
    }
    const { pending, failure } = await comparePending(client, migrationsDir)
    if (pending === 0) return failure
    await recorder.begin()
    try {
      return await applyPending(tool)
    } finally {
      await recorder.finish(undefined)
      // Theirs are sessions from before.
      await spare.discard()
    }
  }

  async function clean(
    client: SessionClient,
    found: { isUnchanged: boolean; prepared: Prepared; since: string },
  ): Promise<void> {
    const isEmpty = isCurrentEmpty(migrationsDir)
    // What it made then cannot be told from what is left over.
    if (found.isUnchanged && !isEmpty) return
    const differences: ObjectDifference[] = await readCurrentDifferences(client)
    const { prepared } = found
    const since = isEmpty ? undefined : found.since
    const leftovers = { client, open: spare.take, differences, since, prepared, placeholders }
    noteNew('leftovers', differences.length === 0 ? [] : await removeLeftovers(leftovers))
  }

  async function endSessions(): Promise<void> {
    await Promise.all([spare.discard(), kept?.client.end()])
  }

  /** After a save is live and reported. */
  async function useIdleTime({ client, recorder }: Kept): Promise<void> {
    if (unchecked !== undefined) {
      const errors = await findBodyErrors(client, unchecked, migrationsDir).catch(() => [])
      unchecked = undefined
      for (const failure of errors) warn(failure)
    }
    await recorder.prepare()
  }

  return {
    async run(files) {
      try {
        await idle
        return await run(files)
      } catch (error) {
        if (!isConnectionLost(error)) throw error
        throw new NotNowError((error as Error).message, { cause: error })
      } finally {
        if (isClosed) await endSessions()
        else {
          spare.refill()
          idle = kept && useIdleTime(kept)
        }
      }
    },
    async close() {
      isClosed = true
      await idle
      await endSessions()
    },
  }
}

/** Notes what was not noted of the same topic the time before. */
function createNews(note: (text: string) => void) {
  const before = new Map<string, readonly string[]>()
  return (topic: string, texts: readonly string[]) => {
    for (const text of texts) if (!before.get(topic)?.includes(text)) note(text)
    before.set(topic, texts)
  }
}
