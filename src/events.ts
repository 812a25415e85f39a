/**
 * What happens in the service. Each fact is reported once, where it happens, by a function that is handed
 * down as an argument; the metrics and the trace of the start are made of these facts.
 */
export type ServiceEvent =
  | MigrationEvent
  | ReadyEvent
  | StartFailedEvent
  | ResetEvent
  | RequestEvent

export type OnEvent<Event extends ServiceEvent = ServiceEvent> = (event: Event) => void

/** What provisioning reports, at a start and in a rebuild. */
export type MigrationEvent =
  /** The history was read and matches the files; again after each loss of the database. */
  | { readonly kind: 'history_read'; readonly applied: number; readonly pending: number }
  | {
      readonly kind: 'migration_applied'
      readonly filename: string
      readonly durationMs: number
    }

/** The start is over: the service is ready. */
export interface ReadyEvent {
  readonly kind: 'ready'
  /** In the history of the database. */
  readonly applied: number
  /** Since the process started. */
  readonly startMs: number
}

/** The start is over: the service ends, or stays up, not ready (ON_MIGRATION_FAILURE=stay). */
export interface StartFailedEvent {
  readonly kind: 'start_failed'
  /** The code of the error. */
  readonly code: string
  /** May have a secret from a migration: mask it. */
  readonly message: string
}

export interface ResetEvent {
  readonly kind: 'reset'
  readonly mode: 'data' | 'rebuild'
  /** `succeeded`, or the code of the error. */
  readonly outcome: string
  readonly durationMs: number
}

/** A response was sent, or its client has gone. */
export interface RequestEvent {
  readonly kind: 'request'
  /** The pattern of the route, such as `/databases/:id`; `unmatched` without one. */
  readonly route: string
  /** `other` for a method that no route has. */
  readonly method: string
  readonly status: number
  readonly durationMs: number
}
