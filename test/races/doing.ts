import type { Queryable } from '../../client/client.ts'
import type { CallRecord, History, Outcome } from './history.ts'
import type { CommandCall } from './model.ts'
import type { World, WorldBatch, WorldCommand } from './world.ts'

/** What a step needs: its transaction, and where to record how that ended. */
export interface Doing {
  readonly db: Queryable
  readonly world: World
  readonly history: History
  readonly startedAtMs: number
  /** Whether locks stay after the call, so that the row can be read as the call left it. */
  readonly isInTransaction: boolean
  onSettled(settle: (outcome: Outcome) => void): void
}

/** Records a call on a command; its answer and its outcome follow. */
export function addCall(doing: Doing, command: WorldCommand, call: CommandCall): CallRecord {
  doing.history.callCount++
  const record = doing.history.addCall(command, call)
  doing.onSettled((outcome) => {
    record.outcome = outcome
  })
  return record
}

/** Records that a call reported that it started or completed the batch. */
export function addAnswer(
  doing: Doing,
  batch: WorldBatch | null,
  event: 'BATCH_STARTED' | 'BATCH_COMPLETED',
): void {
  if (batch === null) {
    doing.history.problems.push('a command without a batch completed one')
    return
  }
  const answer = doing.history.addAnswer(batch, event)
  doing.onSettled((outcome) => {
    answer.outcome = outcome
  })
}
