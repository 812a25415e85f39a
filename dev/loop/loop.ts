import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../../src/postgres/errors.ts'
import { NotNowError } from './not-now.ts'
import { OtherHistoryError } from './other-history.ts'
import type { Report } from './report.ts'
import type { Applied } from './run.ts'
import { COMMITTED, isCommitted, listSqlFiles } from './sql-files.ts'

export interface LoopOptions {
  readonly migrationsDir: string
  /**
   * Applies the uncommitted migration; rejects with a NotNowError if that has to be tried again, with an
   * OtherHistoryError to end the loop, with any other error if it could not be applied.
   */
  readonly apply: (files: readonly string[]) => Promise<Applied>
  readonly report: Report
  readonly signal: AbortSignal
}

/** Applies what is saved, one run after the other. */
export interface Loop {
  /** Applies the files as they are at the start. */
  start(): Promise<void>
  /** A file was saved, added or removed; its path is relative to the migrations folder. */
  saved(file: string): void
  /** Rejects with the OtherHistoryError that ended the loop; resolves when the signal aborts. */
  readonly ended: Promise<void>
}

const RETRY_MS = 500

/** A file that was moved here, or restored, has an older time than its change. */
const MAX_AGE_MS = 5000

export function createLoop({ migrationsDir, apply, report, signal }: LoopOptions): Loop {
  /** When each file was saved that was not applied yet. */
  let waiting = new Map<string, number>()
  /** The text of each file when it was applied last. */
  const known = new Map<string, string | undefined>()
  /** A commit only moves what is applied already from one file to another, so it is not reported. */
  let committed = listCommitted()
  let isRunning = false
  const { promise: ended, resolve: end, reject: fail } = createPromise()
  signal.addEventListener('abort', end, { once: true })

  async function runAll(): Promise<void> {
    if (isRunning) return
    isRunning = true
    try {
      while (waiting.size > 0 && !signal.aborted) {
        const files = [...waiting].filter(([file]) => isNews(file))
        waiting = new Map()
        if (files.length === 0) continue
        const times = files.map(([, savedAt]) => savedAt)
        await run(
          files.map(([file]) => file),
          Math.max(...times),
        )
      }
    } catch (error) {
      fail(error)
    } finally {
      isRunning = false
    }
  }

  async function run(files: readonly string[], savedAt: number): Promise<void> {
    const before = committed
    committed = listCommitted()
    const hasOtherCommitted = committed !== before
    const { failure, changes, written, endedAt } = await applyWhenPossible(files)
    // It was applied already.
    if (written !== undefined) known.set('current.sql', written)
    if (signal.aborted) return
    const isOfCommit = files.every(isCommitted) || hasOtherCommitted
    const isNews = changes === undefined || changes.length > 0 || !isOfCommit
    if (failure !== undefined) report.failed(failure)
    else if (isNews) report.applied({ files, changes, durationMs: endedAt - savedAt })
  }

  async function applyWhenPossible(files: readonly string[]): Promise<Applied> {
    let reason: string | undefined
    while (true) {
      try {
        return await apply(files)
      } catch (error) {
        if (error instanceof OtherHistoryError || signal.aborted) throw error
        if (!(error instanceof NotNowError)) return { ...toFailed(error), endedAt: Date.now() }
        if (error.message !== reason) report.note(`waiting for the database: ${error.message}`)
        reason = error.message
      }
      await sleep(RETRY_MS, undefined, { signal })
    }
  }

  function listCommitted(): string {
    return listSqlFiles(join(migrationsDir, COMMITTED)).join()
  }

  /** Whether the file has another text than when it was applied last; from now on, it has not. */
  function isNews(file: string): boolean {
    const text = readText(file)
    if (known.has(file) && known.get(file) === text) return false
    known.set(file, text)
    return true
  }

  function readText(file: string): string | undefined {
    try {
      return readFileSync(join(migrationsDir, file), 'utf8')
    } catch {
      return undefined
    }
  }

  function readSavedAt(file: string): number {
    const now = Date.now()
    const savedAt = readTime(file) ?? now
    return savedAt > now || savedAt < now - MAX_AGE_MS ? now : savedAt
  }

  function readTime(file: string): number | undefined {
    try {
      return statSync(join(migrationsDir, file)).mtimeMs
    } catch {
      return undefined
    }
  }

  return {
    ended,
    async start() {
      await run([], Date.now()).catch(fail)
      await runAll()
    },
    saved(file) {
      waiting.set(file, readSavedAt(file))
      void runAll()
    },
  }
}

/** An unexpected error, such as a file that cannot be read, does not end the loop: the next save may succeed. */
function toFailed(error: unknown) {
  const message = describeError(error).replaceAll(/\s*\n\s*/g, '; ')
  return { failure: { message }, changes: undefined }
}

function createPromise() {
  let [resolve, reject] = [() => {}, (_: unknown) => {}]
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
