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
}

/** Creates the state of a service that is starting. A lost database shows only over `ready`. */
export function createReadiness(): Readiness {
  let state: ReadinessState = { ready: false, reason: 'waiting_for_database', detail: 'starting' }
  let problem: string | undefined
  return {
    get current(): ReadinessState {
      if (!state.ready || problem === undefined) return state
      return { ready: false, reason: 'database_unavailable', detail: problem }
    },
    set(next) {
      if (state.ready || state.reason !== 'stopping') state = next
    },
    setDatabaseProblem(next) {
      problem = next
    },
  }
}
