import type { LargeOverview } from '../catalog/large-overview.ts'
import type { SchemaOverview } from '../catalog/overview.ts'
import type { Queryable } from '../postgres/client.ts'
import type { Readiness } from '../readiness.ts'
import { isReachable } from '../status.ts'
import { createLastKnown } from './last-known.ts'

/** What the page shows of the catalogue beyond the status. */
export interface Overview {
  /** The same array for as long as nothing in it changes. */
  readonly schemas: readonly SchemaOverview[]
  /** In place of the schemas, where they hold more than anybody reads. */
  readonly large?: LargeOverview
  /** When the database said so, as ISO 8601; undefined if it has not been asked yet. */
  readonly readAt?: string
}

export interface OverviewSources {
  readonly readiness: Pick<Readiness, 'current'>
  /** Undefined until it is open. */
  readonly database: () => { readonly pool: Queryable } | undefined
}

/** A schema changes rarely, and a page that is open asks every other second. */
const MAX_AGE_MS = 4000

/** Creates the reader of the overview, which answers in every state, if need be with the last known one. */
export function createOverviewReader(sources: OverviewSources): () => Promise<Overview> {
  let known: readonly SchemaOverview[] = []
  const readKnown = createLastKnown<{ readonly pool: Queryable }, Overview>(
    { schemas: known },
    async ({ pool }) => {
      // Loaded by the first request: a start need not pay for it.
      const { readLargeOverview } = await import('../catalog/large-overview.ts')
      const { readSchemaOverview } = await import('../catalog/overview.ts')
      const large = await readLargeOverview(pool)
      const readAt = () => new Date().toISOString()
      if (large !== undefined) return { schemas: [], large, readAt: readAt() }
      const found = await readSchemaOverview(pool)
      if (JSON.stringify(found) !== JSON.stringify(known)) known = found
      return { schemas: known, readAt: readAt() }
    },
    { maxAgeMs: MAX_AGE_MS },
  )
  return async () => readKnown(isReachable(sources.readiness) ? sources.database() : undefined)
}
