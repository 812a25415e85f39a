import type { Log } from '../logger.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import type { Queryable } from '../postgres/client.ts'
import { describeError, isInsufficientPrivilege } from '../postgres/errors.ts'
import type { Comparison } from './compare.ts'
import type { Difference } from './describe.ts'
import { createRecordingHooks } from './recording.ts'
import type { Statements } from './statements.ts'

/** The last comparison, as `/status` shows it; the metrics and the page read it here, too. */
export interface DriftState {
  /** Null before the first comparison. */
  readonly checkedAt: Date | null
  /** Null where it cannot be known. */
  readonly inSync: boolean | null
  /** Why it cannot be known. */
  readonly reason?: string
  readonly differences: readonly Difference[]
}

/** Before the first comparison. */
export const NOT_COMPARED: DriftState = {
  checkedAt: null,
  inSync: null,
  reason: 'not compared yet',
  differences: [],
}

export interface DriftOptions {
  readonly database: () => { readonly pool: Queryable } | undefined
  /** A session that stays open for other work, whose caches are warm; undefined while there is none. */
  readonly session?: () => Queryable | undefined
  /** A database that is being migrated or rebuilt, or is not there, is not checked. */
  readonly isReady: () => boolean
  /** False where a newer version of the service has migrated the database: then this one creates nothing. */
  readonly mayCreate: () => boolean
  readonly log: Log
  /** Aborts when the service begins to stop. */
  readonly stopping: AbortSignal
  readonly intervalMs?: number
}

/** Compares the schema with what the migrations made, in the background. */
export interface Drift {
  /** The last comparison; never waits. */
  latest(): DriftState
  /** Compares soon, and from then on every minute. */
  checkSoon(): void
  /** Records the schema around migrations that are applied. */
  readonly recording: ProvisionHooks
}

const INTERVAL_MS = 60_000
/** Long enough for a start to answer its first probe, and for resets in a row to share one check. */
const SOON_MS = 250
/** After a check that had to give up: a lock was held, or the database was not ready. */
const RETRY_MS = 5000
/** Each difference is logged once, but a schema that was dropped has thousands. */
const MAX_LOGGED = 20

/** Creates the check of a service; it does nothing before the first `checkSoon`. */
export function createDrift(options: DriftOptions): Drift {
  const { log, stopping, intervalMs = INTERVAL_MS } = options
  let state = NOT_COMPARED
  let known: Comparison | undefined
  let prepared: { session: Queryable; statements: Statements } | undefined
  let isPrepared = false
  let isRunning = false
  let timer: NodeJS.Timeout | undefined
  let dueAt = Number.POSITIVE_INFINITY

  function schedule(delayMs: number): void {
    const at = performance.now() + delayMs
    if (stopping.aborted || at >= dueAt) return
    clearTimeout(timer)
    dueAt = at
    timer = setTimeout(run, delayMs)
    timer.unref()
  }

  async function run(): Promise<void> {
    dueAt = Number.POSITIVE_INFINITY
    if (isRunning) return schedule(SOON_MS)
    isRunning = true
    const isDone = await check()
    isRunning = false
    schedule(isDone ? intervalMs : Math.min(RETRY_MS, intervalMs))
  }

  /** Whether there was an answer. */
  async function check(): Promise<boolean> {
    const pool = options.database()?.pool
    if (pool === undefined || !options.isReady()) return false
    try {
      // Imported only here: the first check comes after the start.
      const { compareWithRecord } = await import('./compare.ts')
      const problem = await prepare(pool)
      known = await compareWithRecord(pool, known, await statementsOn(pool))
      const { inSync, differences, reason = undefined } = known
      publish({ inSync, differences, ...(reason !== undefined && { reason: problem ?? reason }) })
      return true
    } catch (error) {
      if (stopping.aborted) return false
      const reason = describeError(error)
      log.debug({ reason }, 'the schema could not be compared')
      known = undefined
      if (isInsufficientPrivilege(error)) publish({ inSync: null, reason, differences: [] })
      else if (state.checkedAt === null) state = { ...state, reason: `${reason}; trying again` }
      return false
    }
  }

  /** In the session that is open anyway: a session of the pool ends between two checks, with its caches. */
  async function statementsOn(pool: Queryable): Promise<Statements> {
    const { plainStatements, preparedStatements } = await import('./statements.ts')
    const session = options.session?.()
    if (session === undefined) return plainStatements(pool)
    if (prepared?.session !== session) {
      prepared = { session, statements: preparedStatements(session, plainStatements(pool)) }
    }
    return prepared.statements
  }

  /** Once: creates what records the schema, for `record_schema()`. Returns why it cannot. */
  async function prepare(pool: Queryable): Promise<string | undefined> {
    if (isPrepared || !options.mayCreate()) return undefined
    const { prepareRecorder } = await import('./prepare.ts')
    const problem = await prepareRecorder(pool)
    isPrepared = problem === undefined
    return problem
  }

  function publish(found: Omit<DriftState, 'checkedAt'>): void {
    const before = state
    state = { checkedAt: new Date(), ...found }
    const textOf = (difference: Difference) => JSON.stringify(difference)
    const old = new Set(before.differences.map(textOf))
    const now = new Set(found.differences.map(textOf))
    const fresh = found.differences.filter((one) => !old.has(textOf(one)))
    for (const one of fresh.slice(0, MAX_LOGGED)) {
      log.warn(one, `drift: ${one.kind} ${one.name} was ${one.change}`)
    }
    if (fresh.length > MAX_LOGGED)
      log.warn({ more: fresh.length - MAX_LOGGED }, 'drift: more differences are in /status')
    const gone = before.differences.filter((one) => !now.has(textOf(one)))
    if (gone.length > 0 && found.inSync !== null) {
      log.info({ repaired: gone.length, left: now.size }, 'drift: differences are no longer there')
    }
    if (found.reason !== undefined && found.reason !== before.reason) {
      log.info(
        { reason: found.reason },
        'drift: not known whether the schema is what the migrations made',
      )
    }
  }

  stopping.addEventListener('abort', () => clearTimeout(timer))
  return {
    latest: () => state,
    checkSoon: () => schedule(SOON_MS),
    recording: createRecordingHooks({ log }),
  }
}
