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
  set(state: ReadinessState): void
}
