import type { Place } from '../../loop/locate.ts'

/** Something about the migration that would cause trouble later. */
export interface Finding {
  /** The name of the rule, as `--allow` takes it. */
  readonly rule: string
  /** What was found, and what was expected. */
  readonly message: string
  /** What to do. */
  readonly remedy: string
  readonly place?: Place | undefined
}

/** What a rule reports; its name is added. */
export type Found = Omit<Finding, 'rule'>
