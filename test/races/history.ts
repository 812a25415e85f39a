import type { CommandCall, CommandState } from './model.ts'
import type { WorldBatch, WorldCommand } from './world.ts'

/** A call on a command; its number is also in the audit row that it writes. */
export interface CallRecord {
  readonly number: number
  readonly command: WorldCommand
  readonly call: CommandCall
  /** What it returned; for a receive, whether it returned a row. */
  answer: boolean
  outcome: Outcome
  /** The command's row right after the call, read in the same transaction. */
  seen?: Omit<CommandState, 'finishedAs'>
}

/** A call reported that it started or completed the batch. */
export interface BatchAnswer {
  readonly batch: WorldBatch
  readonly event: 'BATCH_STARTED' | 'BATCH_COMPLETED'
  outcome: Outcome
}

/** `unknown`: the connection broke during the commit; the audit trail decides. */
export type Outcome = 'open' | 'committed' | 'rolled back' | 'unknown'

/** Everything that the sessions of one schedule did. */
export class History {
  readonly calls: CallRecord[] = []
  readonly answers: BatchAnswer[] = []
  /** What no rule allows: an unexpected error, a deadlock in a strict schedule. */
  readonly problems: string[] = []
  /** Calls of functions, including repeated ones. */
  callCount = 0
  deadlocks = 0
  serializationFailures = 0

  addCall(command: WorldCommand, call: CommandCall): CallRecord {
    const number = this.calls.length
    const record: CallRecord = { number, command, call, answer: false, outcome: 'open' }
    this.calls.push(record)
    return record
  }

  addAnswer(batch: WorldBatch, event: BatchAnswer['event']): BatchAnswer {
    const answer: BatchAnswer = { batch, event, outcome: 'open' }
    this.answers.push(answer)
    return answer
  }
}
