import type { Release } from './run.ts'

/** The scenarios, as the documentation's table names them. */
export const SCENARIOS = {
  commands: 'commands and replies',
  retries: 'retries',
  troubleshooting: 'troubleshooting',
  batches: 'batches',
  statistics: 'statistics',
  businessRules: 'business rule failures',
  processCompleted: 'a process completed',
  processCompensated: 'a process compensated',
  processFailed: 'a process whose command failed',
  processBatch: 'a batch of processes',
  syncRuntime: 'synchronous runtime',
  syncProcessBatch: 'a batch of processes saved by the synchronous side',
} as const

export type Scenario = keyof typeof SCENARIOS

/** The release that first offers it; what is not named is there from the first release on. */
const SINCE: Readonly<Partial<Record<Scenario, Release>>> = {
  statistics: '0.2.0',
  businessRules: '0.2.2',
  processCompleted: '0.1.10',
  processCompensated: '0.1.10',
  processFailed: '0.2.2',
  processBatch: '0.2.1',
  syncRuntime: '0.2.0',
  syncProcessBatch: '0.2.1',
}

/** What a release does wrong on any database: upstream's own faults. */
const FAULTS: readonly (readonly [Release, Scenario, RegExp])[] = [
  // Its synchronous side leaves batch_type out of the insert.
  ['0.2.1', 'syncProcessBatch', /^AssertionError: saved as COMMAND$/],
  ['0.2.2', 'syncProcessBatch', /^AssertionError: saved as COMMAND$/],
]

/** What is expected of a scenario: a text, or what its error must match. */
export function expect(
  release: Release,
  scenario: Scenario,
  order: readonly Release[],
): string | RegExp {
  const since = SINCE[scenario]
  if (since !== undefined && order.indexOf(release) < order.indexOf(since)) return 'not offered'
  return FAULTS.find(([r, s]) => r === release && s === scenario)?.[2] ?? 'done'
}
