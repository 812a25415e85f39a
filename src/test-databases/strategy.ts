import type { Strategy } from './create.ts'

/** Finds out which strategy copies a template fastest on this server. */
export interface Strategies {
  /** Runs a copy by the strategy that is to be tried, or was the fastest. */
  measure(copy: (strategy: Strategy) => Promise<void>): Promise<void>
}

const ALL: readonly Strategy[] = ['wal_log', 'file_copy']
/** Copying files needs two checkpoints, which keep the whole server busy. */
const PRICE: Readonly<Record<Strategy, number>> = { wal_log: 1, file_copy: 1.5 }

export function createStrategies(): Strategies {
  const measured = new Map<Strategy, number>()

  function choose(): Strategy {
    const untried = ALL.find((strategy) => !measured.has(strategy))
    if (untried !== undefined) return untried
    const costOf = (strategy: Strategy) => (measured.get(strategy) ?? 0) * PRICE[strategy]
    return ALL.reduce((best, strategy) => (costOf(strategy) < costOf(best) ? strategy : best))
  }

  return {
    async measure(copy) {
      const strategy = choose()
      const startedAt = performance.now()
      try {
        await copy(strategy)
        measured.set(strategy, performance.now() - startedAt)
      } catch (error) {
        // The other one may work: a server can lack what this one needs.
        if (!measured.has(strategy)) measured.set(strategy, Number.POSITIVE_INFINITY)
        throw error
      }
    },
  }
}
