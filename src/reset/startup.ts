import { captureBaseline } from '../baseline/capture.ts'
import { isDisposable, markDisposableIfEmpty } from '../baseline/disposable.ts'
import { ensureStore, forgetBaseline } from '../baseline/store.ts'
import type { Log } from '../logger.ts'
import { readSeeds } from '../migrations/files/seeds.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import { INTERRUPTED, wasInterrupted } from './interrupted.ts'
import { assertOfOtherTools, warnOfMissingSchemas } from './other-schemas.ts'
import { NO_SEEDS, planAllSeeds, type ResetSeeds, runPendingSeeds } from './seeds.ts'
import type { ResetSessions } from './session.ts'

export interface ResetHooksOptions {
  readonly sessions: ResetSessions
  /** Called if a reset was interrupted before this start. */
  readonly onInterrupted: (problem: string) => void
  /** Default: there are none. */
  readonly seeds?: ResetSeeds
  readonly log: Log
}

/**
 * What the reset does at each start, around the migrations: it marks an empty database disposable, and
 * captures the baseline if the migrations alone made the current state.
 */
export function createResetHooks({
  sessions,
  onInterrupted,
  seeds = NO_SEEDS,
  log,
}: ResetHooksOptions): ProvisionHooks {
  let isStateKnown = false
  return {
    async beforeMigrating(client, { applied, pending }) {
      // Whatever is wrong with them is said before anything runs.
      await readSeeds(seeds.folder)
      await ensureStore(client)
      const wasEmpty = await markDisposableIfEmpty(client, applied.length === 0, log)
      if (wasEmpty) await planAllSeeds(client, seeds)
      isStateKnown = wasEmpty || (pending.length > 0 && (await isAtBaseline(sessions, log)))
    },
    async afterMigrating(client, { appliedNow }) {
      await assertOfOtherTools(client, sessions.others)
      await warnOfMissingSchemas(client, sessions.others, log)
      // Also those that failed at the last start, which was never ready: clients have not written yet.
      const hasSeeded = (await isDisposable(client)) && (await runPendingSeeds(client, seeds))
      isStateKnown ||= hasSeeded
      if (appliedNow.length > 0 || hasSeeded) {
        sessions.forgetFunction()
        if (!isStateKnown) await forgetBaseline(client)
        const isCaptured = isStateKnown && (await captureBaseline(client, sessions.others))
        if (isCaptured)
          log.info('captured the baseline, the state after migrating: POST /reset restores it')
        else
          log.warn(
            'no baseline was captured, because the migrations alone did not make the current state: ' +
              'POST /reset needs a rebuild first',
          )
      }
      // Checked before the service is ready: an application would get numbers that are taken.
      if (await wasInterrupted(client)) onInterrupted(INTERRUPTED)
    },
  }
}

async function isAtBaseline(sessions: ResetSessions, log: Log): Promise<boolean> {
  try {
    const session = await sessions.open()
    return await session.isClean()
  } catch (error) {
    log.debug({ err: error }, 'cannot tell whether the database is at its baseline')
    return false
  }
}
