import type { CommandCall } from './model.ts'
import type { WorldBatch, WorldCommand } from './world.ts'

/** A call on a command; its number is also in the audit row that it leaves. */
export interface CallRecord {
  readonly number: number
  readonly command: WorldCommand
  readonly call: CommandCall
  /** What it answered; a receive's null row is false. */
  answer: boolean
  outcome: Outcome
}

/** A caller was told that its call started or completed the batch. */
export interface BatchAnswer {
  readonly batch: WorldBatch
  readonly event: 'BATCH_STARTED' | 'BATCH_COMPLETED'
  outcome: Outcome
}

/** `unknown`: the connection broke while it committed; the audit trail tells. */
export type Outcome = 'open' | 'committed' | 'rolled back' | 'unknown'

/** Everything that the connections of one schedule did. */
export class History {
  readonly calls: CallRecord[] = []
  readonly answers: BatchAnswer[] = []
  /** What no rule allows, in words: an error nobody expected, a deadlock where none may be. */
  readonly problems: string[] = []
  /** Calls of procedures, the repeated ones too. */
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
