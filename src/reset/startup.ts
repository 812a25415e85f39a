import { captureBaseline } from '../baseline/capture.ts'
import { markDisposableIfEmpty, unmarkDisposable } from '../baseline/disposable.ts'
import { ensureStore, forgetBaseline } from '../baseline/store.ts'
import type { Log } from '../logger.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import type { Readiness } from '../readiness.ts'
import { BROKEN_OFF, isBrokenOff } from './interrupted.ts'
import type { ResetSessions } from './session.ts'

export interface ResetHooksOptions {
  readonly sessions: ResetSessions
  readonly readiness: Pick<Readiness, 'setResetProblem'>
  readonly log: Log
}

/**
 * What a start does for the reset, around the migrations: marks a database that held nothing, and
 * captures what the migrations leave where that is known to be all that is there.
 */
export function createResetHooks({ sessions, readiness, log }: ResetHooksOptions): ProvisionHooks {
  let isBaselineKnown = false
  return {
    async beforeMigrating(client, { applied, pending }) {
      await ensureStore(client)
      const isEmpty = await markDisposableIfEmpty(client, applied.length === 0, log)
      isBaselineKnown = isEmpty || (pending.length > 0 && (await isAtBaseline(sessions, log)))
    },
    async afterMigrating(client, { appliedNow }) {
      if (appliedNow.length > 0) {
        sessions.forgetPlan()
        if (!isBaselineKnown) await forgetBaseline(client)
        const hasBaseline = isBaselineKnown && (await captureBaseline(client))
        if (hasBaseline)
          log.info('what the migrations left was captured: POST /reset brings it back')
        else log.warn('what the migrations left is not known: POST /reset needs a rebuild first')
      }
      // Before the service is ready: an application would meet numbers that are taken.
      if (await isBrokenOff(client)) readiness.setResetProblem(BROKEN_OFF)
    },
  }
}

/** What a start does with reset switched off. */
export function createResetOffHooks(log: Log): ProvisionHooks {
  return { afterLocking: (client) => unmarkDisposable(client, log) }
}

async function isAtBaseline(sessions: ResetSessions, log: Log): Promise<boolean> {
  try {
    const session = await sessions.open()
    return await session.isClean()
  } catch (error) {
    log.debug({ err: error }, 'the database is not known to be at its baseline')
    return false
  }
}
