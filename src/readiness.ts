/** Why the service is not ready; the contract's words, seen by probes. */
export type NotReadyReason =
  | 'waiting_for_database'
  | 'waiting_for_lock'
  | 'migrating'
  | 'migration_failed'
  | 'history_refused'
  | 'database_unavailable'
  | 'rebuilding'
  | 'stopping'

export type ReadinessState =
  | { readonly ready: true; readonly detail?: string }
  | { readonly ready: false; readonly reason: NotReadyReason; readonly detail: string }

/** The one state that /readyz, /status and the reset look at. */
export interface Readiness {
  readonly current: ReadinessState
  /** `stopping` is the last state: whatever is set after it is not heeded. */
  set(state: ReadinessState): void
  /** Says why the database cannot be reached, or undefined when it can; for the monitor. */
  setDatabaseProblem(problem: string | undefined): void
  /** Says that a reset broke off and has to be done again, or undefined once it was. */
  setResetProblem(problem: string | undefined): void
  /** Without that problem, which a reset is there to mend. */
  readonly currentForReset: ReadinessState
}

/** Creates the state of a service that is starting. A lost database shows only over `ready`. */
export function createReadiness(): Readiness {
  let state: ReadinessState = { ready: false, reason: 'waiting_for_database', detail: 'starting' }
  let problem: string | undefined
  let resetProblem: string | undefined
  const currentWith = (detail: string | undefined): ReadinessState =>
    state.ready && detail !== undefined
      ? { ready: false, reason: 'database_unavailable', detail }
      : state
  return {
    get current() {
      return currentWith(problem ?? resetProblem)
    },
    get currentForReset() {
      return currentWith(problem)
    },
    setResetProblem(next) {
      resetProblem = next
    },
    set(next) {
      if (state.ready || state.reason !== 'stopping') state = next
    },
    setDatabaseProblem(next) {
      problem = next
    },
  }
}
