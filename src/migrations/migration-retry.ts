import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { Queryable } from '../postgres/client.ts'
import { type Blocker, describeBlockers, watchBlockers } from './blockers.ts'
import type { ToolSessions } from './tool/cancel.ts'
import type { MigrationBlockedError } from './tool/runner.ts'

/** Watches what the running migration waits for, and says so. */
export interface ToolWatch {
  /** Begins to watch the tool's sessions. */
  readonly start: (sessions: ToolSessions) => void
  readonly stop: () => void
  readonly onMigration: (detail: string) => void
  /** The blockers that were seen last. */
  readonly blockers: () => readonly Blocker[]
  /** Publishes that the migration is tried again. */
  readonly announceRetry: () => void
}

export interface ToolWatchOptions {
  readonly database: { readonly pool: Queryable }
  readonly lockTimeoutMs: number | undefined
  readonly log: Log
  /** With the blockers that the migration waits for. */
  readonly onProgress: (detail: string, blockers?: readonly Blocker[]) => void
  /** How long a migration runs before the log says that it still does; then twice as long each time. */
  readonly stillRunningMs?: number
}

const STILL_RUNNING_MS = 10_000
const LONGEST_SILENCE_MS = 300_000

export function createToolWatch(options: ToolWatchOptions): ToolWatch {
  const { database, lockTimeoutMs, log, onProgress, stillRunningMs = STILL_RUNNING_MS } = options
  let current = ''
  let last: readonly Blocker[] = []
  let blocking: readonly Blocker[] = []
  let stillRunning: NodeJS.Timeout | undefined
  let logged = ''
  let stopWatching = () => {}

  function watchTime(startedAt: number, waitMs: number): void {
    clearTimeout(stillRunning)
    stillRunning = setTimeout(() => {
      const elapsedMs = Math.round(performance.now() - startedAt)
      const blockers = blocking.length > 0 && { blockers: blocking }
      log.info({ detail: current, elapsedMs, ...blockers }, 'still migrating')
      watchTime(startedAt, Math.min(2 * waitMs, LONGEST_SILENCE_MS))
    }, waitMs)
    stillRunning.unref()
  }

  function onChange(blockers: readonly Blocker[]): void {
    blocking = blockers
    if (blockers.length === 0) {
      onProgress(current)
      return
    }
    last = blockers
    onProgress(`${current}: waiting for a lock, blocked by ${describeBlockers(blockers)}`, blockers)
    const who = blockers.map(({ pid, gid }) => pid ?? gid).join()
    if (who !== logged) log.info({ detail: current, blockers }, 'a migration waits for a lock')
    logged = who
  }

  return {
    start(sessions) {
      stopWatching()
      stopWatching = watchBlockers({
        client: database.pool,
        waiting: sessions,
        longestWaitMs: lockTimeoutMs,
        onChange,
      })
    },
    stop() {
      clearTimeout(stillRunning)
      stopWatching()
    },
    onMigration(detail) {
      if (current !== `applying ${detail}`) last = []
      current = `applying ${detail}`
      logged = ''
      blocking = []
      watchTime(performance.now(), stillRunningMs)
      onProgress(current)
    },
    blockers: () => last,
    announceRetry() {
      const by = last.length > 0 ? `, blocked by ${describeBlockers(last)}` : ''
      onProgress(`${current}: did not get a lock${by}; trying again`, last)
    },
  }
}

export interface MigrationRetryOptions {
  /** Looks whether the blockers are gone. */
  readonly pool: Queryable
  readonly lockRetryMs: number
  readonly log: Log
  readonly signal: AbortSignal
  readonly watch: Pick<ToolWatch, 'blockers' | 'announceRetry'>
}

export interface MigrationRetry {
  /**
   * Waits before a migration that was blocked is tried again: for a while that varies, and then for as
   * long as the transaction that blocked it stays open, up to a limit. Throws `lock_timeout` once the
   * migration has been tried for long enough.
   */
  pause(error: MigrationBlockedError): Promise<void>
}

const PAUSE_MS = { min: 300, extra: 400, longest: 5000, step: 250 }

export function createMigrationRetry(options: MigrationRetryOptions): MigrationRetry {
  const { pool, lockRetryMs, log, signal, watch } = options
  let blocked: { filename: string; since: number } | undefined

  const pauseFor = async (ms: number) => {
    await sleep(Math.max(0, ms), undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }

  return {
    async pause({ migration: { filename }, failure }) {
      const now = performance.now()
      if (blocked?.filename !== filename) blocked = { filename, since: now }
      const deadline = blocked.since + lockRetryMs
      const blockers = watch.blockers()
      if (now >= deadline) throw lockTimeoutError(failure, blockers, lockRetryMs)
      log.info(
        { migration: filename, reason: failure.extensions.postgresMessage, blockers },
        'a migration did not get a lock, and was rolled back; trying again',
      )
      watch.announceRetry()
      await pauseFor(Math.min(PAUSE_MS.min + Math.random() * PAUSE_MS.extra, deadline - now))
      const until = Math.min(now + PAUSE_MS.longest, deadline)
      while (performance.now() < until && (await isOpen(pool, blockers))) {
        await pauseFor(Math.min(PAUSE_MS.step, until - performance.now()))
      }
    },
  }
}

/** Whether one of these transactions is still open: another attempt would wait for it again. */
async function isOpen(client: Queryable, blockers: readonly Blocker[]): Promise<boolean> {
  const pids = blockers.flatMap(({ pid }) => pid ?? [])
  const gids = blockers.flatMap(({ gid }) => gid ?? [])
  if (pids.length + gids.length === 0) return false
  try {
    // Every open transaction has a lock on its own id; other sessions' states may not be visible.
    const { rows } = await client.query(
      `select from pg_catalog.pg_locks where locktype = 'virtualxid' and granted and pid = any ($1)
        union all
       select from pg_catalog.pg_prepared_xacts where gid = any ($2)
        limit 1`,
      [pids, gids],
    )
    return rows.length > 0
  } catch {
    return false
  }
}

function lockTimeoutError(
  failure: ServiceError,
  blockers: readonly Blocker[],
  lockRetryMs: number,
): ServiceError {
  const by = blockers.length > 0 ? `; last blocked by ${describeBlockers(blockers)}` : ''
  return new ServiceError(
    'lock_timeout',
    `${failure.message}; it was tried for ${lockRetryMs / 1000} s (LOCK_RETRY_SECONDS)${by}`,
    {
      extensions: {
        ...failure.extensions,
        blockers: blockers.map(({ query: _, ...rest }) => rest),
      },
    },
  )
}
