import { setTimeout as sleep } from 'node:timers/promises'
import type { DatabaseIdentity } from '../baseline/disposable.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { ProvisionHooks, ProvisionProgress } from '../migrations/provision.ts'
import {
  describeError,
  isBlocked,
  isConnectionLost,
  isConnectionRefusedForNow,
  isOutOfResources,
  sqlstateOf,
} from '../postgres/errors.ts'
import { outOfResourcesError } from '../postgres/out-of-resources.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import type { Readiness } from '../readiness.ts'
import { assertReadyForReset, type ResetMode } from './assert-ready.ts'
import type { Blocker } from './blockers.ts'
import { openSession, resetData } from './data.ts'
import { databaseLostError, resetCanceledError } from './errors.ts'
import { INTERRUPTED, wasInterrupted } from './interrupted.ts'
import type { LockOptions } from './lock-retry.ts'
import { type RebuildTrial, rebuild } from './rebuild.ts'
import type { ResetSeeds } from './seeds.ts'
import type { Changes, ResetSessions } from './session.ts'

export interface ResetOptions extends LockOptions {
  readonly mode: ResetMode
}

export interface ResetReport extends Changes {
  readonly mode: ResetOptions['mode']
  readonly durationMs: number
  /** The transactions that were terminated; only where that was requested. */
  readonly terminated?: readonly Blocker[]
}

export interface ResetStats {
  readonly count: number
  readonly lastAt: Date | undefined
  readonly lastDurationMs: number | undefined
}

export interface Resetter {
  /** Queues a reset behind earlier ones; the report covers a reset that started after this call. */
  reset(options: ResetOptions): Promise<ResetReport>
  /** Opens the connection and generates the function ahead of time; logs why a reset would fail. */
  warm(): Promise<void>
  readonly stats: ResetStats
  close(): Promise<void>
}

export interface ResetterDeps {
  readonly sessions: ResetSessions
  readonly database: DatabaseIdentity
  readonly readiness: Readiness
  readonly log: Log
  /** Runs all migrations, with these hooks; for `rebuild`. */
  readonly migrate: (
    hooks: ProvisionHooks,
    onProgress: (progress: ProvisionProgress) => void,
  ) => Promise<unknown>
  readonly trial?: Omit<RebuildTrial, 'log'>
  /** Default: there are none. */
  readonly seeds?: ResetSeeds
}

const NO_CHANGES: Changes = {
  tables: { emptied: [], restored: [] },
  sequences: [],
  queues: { emptied: [], dropped: [] },
  partitions: { dropped: [] },
}

const OUTCOME_RETRY_MS = 250

/** Creates the resetter of a database; it serves one request after another. */
export function createResetter(deps: ResetterDeps): Resetter {
  const { sessions, database, readiness, log } = deps
  let stats: ResetStats = { count: 0, lastAt: undefined, lastDurationMs: undefined }
  let last: Promise<unknown> = Promise.resolve()

  async function run(options: ResetOptions): Promise<ResetReport> {
    options.assertWanted?.()
    // The state may have changed while this reset was queued.
    assertReadyForReset(readiness, options.mode)
    const startedAt = performance.now()
    const { result, terminated } = await (options.mode === 'data'
      ? runData(options)
      : runRebuild(options)
    ).catch((error) => {
      // If the service stops, the reset failed because of that, whatever the error says.
      if (!(error instanceof ServiceError)) assertReadyForReset(readiness, options.mode)
      throw error
    })
    const durationMs = Math.round((performance.now() - startedAt) * 100) / 100
    stats = { count: stats.count + 1, lastAt: new Date(), lastDurationMs: durationMs }
    log.info({ mode: options.mode, durationMs }, 'reset')
    if (terminated.length > 0)
      log.warn({ terminated }, 'terminated transactions that blocked a reset')
    return {
      mode: options.mode,
      durationMs,
      ...result,
      ...(options.terminateBlockers && { terminated }),
    }
  }

  async function warm(): Promise<void> {
    try {
      const session = await openSession(sessions)
      await session.isClean()
    } catch (error) {
      const { code } = error as { code?: string }
      log.warn({ code, reason: describeError(error) }, 'POST /reset would fail')
    }
  }

  async function runData(options: LockOptions) {
    try {
      const done = await resetData(sessions, database, options)
      readiness.setResetProblem(undefined)
      return done
    } catch (error) {
      // These are decided before anything is changed.
      if (error instanceof ServiceError) throw error
      void checkOutcome()
      if (isOutOfResources(error)) {
        throw outOfResourcesError(error, 'during the reset, which was rolled back')
      }
      if (sqlstateOf(error) === SQLSTATE.queryCanceled) throw resetCanceledError(error)
      throw isConnectionLost(error) ? databaseLostError(error) : error
    }
  }

  /** After an error the reset may have committed or not, and sequences are set outside the transaction. */
  async function checkOutcome(): Promise<void> {
    readiness.setResetProblem('a reset was interrupted; checking what it changed')
    for (;;) {
      try {
        const { client } = await sessions.open()
        readiness.setResetProblem((await wasInterrupted(client)) ? INTERRUPTED : undefined)
        return
      } catch (error) {
        const isTemporary =
          isConnectionLost(error) ||
          isConnectionRefusedForNow(error) ||
          isOutOfResources(error) ||
          isBlocked(error)
        if (!isTemporary) return readiness.setResetProblem(undefined)
        await sleep(OUTCOME_RETRY_MS, undefined, { ref: false })
      }
    }
  }

  async function runRebuild(lock: LockOptions) {
    const before = readiness.currentForReset
    let isDropping = false
    let isDropped = false
    const setRebuilding = (detail: string) =>
      readiness.set({ ready: false, reason: 'rebuilding', detail })
    // Until everything is dropped the rebuild can still be rejected, so the service stays ready.
    const onProgress = ({ detail }: ProvisionProgress) => {
      if (isDropping) setRebuilding(detail)
    }
    try {
      const terminated = await rebuild({
        sessions,
        database,
        lock,
        migrate: (hooks) => deps.migrate(hooks, onProgress),
        ...(deps.trial && { trial: { ...deps.trial, log } }),
        ...(deps.seeds && { seeds: deps.seeds }),
        onDropping: (detail) => {
          isDropping = true
          setRebuilding(detail)
        },
        onDropped: () => {
          isDropped = true
        },
      })
      readiness.setResetProblem(undefined)
      await warm()
      readiness.set({ ready: true })
      return { result: NO_CHANGES, terminated }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      const failed = { ready: false, reason: 'migration_failed', detail } as const
      if (isDropping) readiness.set(isDropped ? failed : before)
      throw error
    }
  }

  return {
    reset(options) {
      const next = last.then(() => run(options))
      last = next.catch(() => {})
      return next
    },
    warm() {
      last = last.then(warm)
      return last.then(() => {})
    },
    get stats() {
      return stats
    },
    async close() {
      await last
      await sessions.close()
    },
  }
}
