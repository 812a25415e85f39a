import type { Trial } from '../trial/trial.ts'
import type { Found } from './finding.ts'

/** One thing that a commit refuses. */
export interface Rule {
  /** As `--allow` takes it. */
  readonly name: string
  /** What is refused, for the documentation: the rest of "it refuses …". */
  readonly refuses: string
  check(trial: Trial): Found[]
}
