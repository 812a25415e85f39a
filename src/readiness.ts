/** Why the service is not ready, as probes see it. */
export const NOT_READY_REASONS = [
  'waiting_for_database',
  'waiting_for_lock',
  'migrating',
  'migration_failed',
  'history_refused',
  'database_unavailable',
  'rebuilding',
  'stopping',
] as const

export type NotReadyReason = (typeof NOT_READY_REASONS)[number]

/** A blocking transaction as it may be shown to people: without its query, which may contain secrets. */
export interface BlockingSession {
  /** Null for a prepared transaction. */
  readonly pid: number | null
  /** Of a prepared transaction. */
  readonly gid: string | null
  readonly application: string | null
  /** Null where the role may not see it. */
  readonly state: string | null
  /** How long ago its transaction began. */
  readonly ageMs: number | null
}

export type ReadinessState =
  | {
      readonly ready: true
      readonly detail?: string
      /** `ahead by …` on a database that a newer version has migrated. */
      readonly ahead?: string
    }
  | {
      readonly ready: false
      readonly reason: NotReadyReason
      readonly detail: string
      /** The transactions that a migration waits for; `detail` names them in words. */
      readonly blockers?: readonly BlockingSession[]
    }

/** The one state that /readyz, /status and the reset read. */
export interface Readiness {
  readonly current: ReadinessState
  /** Like `current`, but ignores an interrupted reset, which the next reset repairs. */
  readonly currentForReset: ReadinessState
  /** `stopping` is the last state: later ones are ignored. */
  set(state: ReadinessState): void
  /** Sets why the database cannot be reached, or undefined once it can. */
  setDatabaseProblem(problem: string | undefined): void
  /** Sets what an interrupted reset left behind, or undefined once a reset succeeded. */
  setResetProblem(problem: string | undefined): void
}

/** Creates the readiness of a service that is starting. Problems show only while it is otherwise ready. */
export function createReadiness(): Readiness {
  let state: ReadinessState = { ready: false, reason: 'waiting_for_database', detail: 'starting' }
  let databaseProblem: string | undefined
  let resetProblem: string | undefined
  const withProblem = (detail: string | undefined): ReadinessState =>
    state.ready && detail !== undefined
      ? { ready: false, reason: 'database_unavailable', detail }
      : state
  return {
    get current() {
      return withProblem(databaseProblem ?? resetProblem)
    },
    get currentForReset() {
      return withProblem(databaseProblem)
    },
    set(next) {
      if (state.ready || state.reason !== 'stopping') state = next
    },
    setDatabaseProblem(problem) {
      databaseProblem = problem
    },
    setResetProblem(problem) {
      resetProblem = problem
    },
  }
}
