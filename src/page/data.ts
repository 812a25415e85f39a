import type { Status } from '../http/schemas/status.ts'
import type { BlockingSession } from '../readiness.ts'
import type { Overview } from '../status/overview.ts'

/** Everything that the page shows; without secrets, since all of it is masked before. */
export interface PageData {
  readonly status: PageStatus
  readonly overview: Overview
  /** The transactions that a migration waits for now. */
  readonly blockers: readonly BlockingSession[]
}

/** The status, with the part that a service may be without. */
export type PageStatus = Status & { readonly drift?: Drift | null }

export interface Drift {
  readonly checkedAt: string | null
  /** Null where it cannot be known. */
  readonly inSync: boolean | null
  /** Why it cannot be known. */
  readonly reason?: string | null
  readonly differences: readonly {
    readonly kind: string
    readonly name: string
    readonly change: string
    readonly detail?: string | null
  }[]
}
