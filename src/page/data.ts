import type { Status } from '../http/schemas/status.ts'
import type { BlockingSession } from '../readiness.ts'
import type { Overview } from '../status/overview.ts'

/** Everything that the page shows; without secrets, since all of it is masked before. */
export interface PageData {
  readonly status: Status
  readonly overview: Overview
  /** The transactions that a migration waits for now. */
  readonly blockers: readonly BlockingSession[]
}

export type Drift = Status['drift']
