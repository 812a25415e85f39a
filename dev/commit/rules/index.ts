import { fixtureGone } from './fixture-gone.ts'
import { fixtureNotIncluded } from './fixture-not-included.ts'
import { functionBody } from './function-body.ts'
import { functionGrants, functionSearchPath } from './function-settings.ts'
import { longLock } from './long-lock.ts'
import { missingComment } from './missing-comment.ts'
import { notRepeatable } from './not-repeatable.ts'
import { recreated } from './recreated.ts'
import type { Rule } from './rule.ts'
import { sessionState } from './session-state.ts'
import { signatureChanged } from './signature-changed.ts'
import { unqualifiedName } from './unqualified-name.ts'

/** What a commit refuses unless it is allowed, in the order in which it is reported. */
export const RULES: readonly Rule[] = [
  fixtureNotIncluded,
  fixtureGone,
  notRepeatable,
  signatureChanged,
  recreated,
  longLock,
  unqualifiedName,
  functionSearchPath,
  functionGrants,
  missingComment,
  functionBody,
  sessionState,
]
