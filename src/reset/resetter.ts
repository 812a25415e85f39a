import type { DatabaseIdentity } from '../baseline/disposable.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { ProvisionHooks, ProvisionProgress } from '../migrations/provision.ts'
import type { Readiness } from '../readiness.ts'
import type { Blocker } from './blockers.ts'
import { resetData } from './data.ts'
import { refuseCanceled } from './errors.ts'
import { BROKEN_OFF, isBrokenOff } from './interrupted.ts'
import { type DatabaseError, LOCK_NOT_AVAILABLE, type Patience } from './lock-retry.ts'
import { rebuild } from './rebuild.ts'
import type { Changes, ResetSessions } from './session.ts'

export interface ResetOptions extends Patience {
  readonly mode: 'data' | 'rebuild'
}

export interface ResetReport extends Changes {
  readonly mode: ResetOptions['mode']
  readonly durationMs: number
  /** The transactions that were ended; only where that was asked for. */
  readonly terminated?: readonly Blocker[]
}

export interface ResetStats {
  readonly count: number
  readonly lastAt: Date | undefined
  readonly lastDurationMs: number | undefined
}

export interface Resetter {
  /** Resets once those that came before are done: the answer speaks of a reset begun after the call. */
  reset(options: ResetOptions): Promise<ResetReport>
  /** Makes the connection and its plans before they are needed; says in the log what stands in the way. */
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
}

const QUERY_CANCELED = '57014'

const NOTHING: Changes = {
  tables: { emptied: [], restored: [] },
  sequences: [],
  queues: { emptied: [], dropped: [] },
}

/** Creates the one that resets this database, one request after another. */
export function createResetter(deps: ResetterDeps): Resetter {
  const { sessions, database, readiness, log } = deps
  let stats: ResetStats = { count: 0, lastAt: undefined, lastDurationMs: undefined }
  let last: Promise<unknown> = Promise.resolve()

  async function run(options: ResetOptions): Promise<ResetReport> {
    options.assertWanted?.()
    // Asked again, now that its turn has come.
    assertReadyForReset(readiness, options.mode)
    const startedAt = performance.now()
    const { result, terminated } = await (options.mode === 'data'
      ? runData(options)
      : runRebuild(options)
    ).catch((error) => {
      // A stop has broken it off: that is what is to be said of it.
      if (!(error instanceof ServiceError)) assertReadyForReset(readiness, options.mode)
      throw error
    })
    const durationMs = Math.round((performance.now() - startedAt) * 100) / 100
    stats = { count: stats.count + 1, lastAt: new Date(), lastDurationMs: durationMs }
    log.info({ mode: options.mode, durationMs }, 'reset')
    if (terminated.length > 0)
      log.warn({ terminated }, 'transactions were ended that were in the way')
    return {
      mode: options.mode,
      durationMs,
      ...result,
      ...(options.terminateBlockers && { terminated }),
    }
  }

  async function warm(): Promise<void> {
    try {
      const session = await sessions.open()
      await session.isClean()
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      log.warn({ code, reason: message }, 'POST /reset would be refused')
    }
  }

  async function runData(patience: Patience) {
    try {
      const done = await resetData(sessions, database, patience)
      readiness.setResetProblem(undefined)
      return done
    } catch (error) {
      // What is refused is refused before anything is changed.
      if (error instanceof ServiceError) throw error
      void watchOutcome()
      if ((error as DatabaseError).code === QUERY_CANCELED) throw refuseCanceled(error)
      throw isConnectionLost(error) ? refuseLost(error) : error
    }
  }

  /** Whether the commit was done is not known, and sequences are set outside of it. */
  async function watchOutcome(): Promise<void> {
    readiness.setResetProblem('a reset broke off; looking at what it left')
    for (;;) {
      try {
        const { client } = await sessions.open()
        readiness.setResetProblem((await isBrokenOff(client)) ? BROKEN_OFF : undefined)
        return
      } catch (error) {
        const isLater =
          isConnectionLost(error) || (error as DatabaseError).code === LOCK_NOT_AVAILABLE
        if (!isLater) return readiness.setResetProblem(undefined)
        await new Promise((resolve) => setTimeout(resolve, 250).unref())
      }
    }
  }

  async function runRebuild(patience: Patience) {
    const before = readiness.currentForReset
    let isDropping = false
    let isDropped = false
    const setRebuilding = (detail: string) =>
      readiness.set({ ready: false, reason: 'rebuilding', detail })
    // Until something is dropped the rebuild may still be rejected, so the service stays as it is.
    const onProgress = ({ detail }: ProvisionProgress) => {
      if (isDropping) setRebuilding(detail)
    }
    try {
      const terminated = await rebuild({
        sessions,
        database,
        patience,
        migrate: (hooks) => deps.migrate(hooks, onProgress),
        onDropping: () => {
          isDropping = true
          setRebuilding('everything is dropped')
        },
        onDropped: () => {
          isDropped = true
        },
      })
      readiness.setResetProblem(undefined)
      await warm()
      readiness.set({ ready: true })
      return { result: NOTHING, terminated }
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

/** For people: what a service has reset so far. */
export function describeResets(resetter: Resetter | undefined) {
  const { count = 0, lastAt, lastDurationMs = null } = resetter?.stats ?? {}
  return { count, lastAt: lastAt?.toISOString() ?? null, lastDurationMs }
}

/** Not ready: refused, but for the rebuild that gets a database out of a failed migration. */
export function assertReadyForReset(
  readiness: Pick<Readiness, 'currentForReset'>,
  mode: ResetOptions['mode'],
): void {
  const state = readiness.currentForReset
  if (state.ready || (mode === 'rebuild' && state.reason === 'migration_failed')) return
  const remedy =
    state.reason === 'migration_failed'
      ? '; reset with {"mode": "rebuild"} is taken, and tries again'
      : ''
  throw new ServiceError(
    'not_ready',
    `the service is not ready (${state.reason}): ${state.detail}${remedy}`,
    { extensions: { reason: state.reason } },
  )
}

function refuseLost(cause: unknown): ServiceError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new ServiceError(
    'database_lost',
    `the database was lost during the reset, which is done whole or not at all: ${reason}; ask again`,
    { cause },
  )
}

/** Errors without SQLSTATE come from the connection; of classes 08 and 57P from a server that ends. */
function isConnectionLost(error: unknown): boolean {
  if (error instanceof ServiceError) return false
  const { code } = error as { code?: string }
  return code === undefined || /^(08|57P)/.test(code) || /^E[A-Z]+$/.test(code)
}
