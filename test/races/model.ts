import type { CommandStatus } from '../../client/client.ts'
import type { Move, ReceiveStatus } from './schedule.ts'

/** What the model knows of a command: what the contract says, and nothing of how it is done. */
export interface CommandState {
  readonly status: CommandStatus
  readonly attempts: number
  readonly errorCode: string | null
  /** What the last finish made it, since it was received: the same once more is a repetition. */
  readonly finishedAs: CommandStatus | null
}

/** A call that can change a command. `errorCode` null keeps the one that is there. */
export type CommandCall =
  | { readonly kind: 'receive'; readonly as: ReceiveStatus }
  | { readonly kind: 'finish'; readonly status: CommandStatus; readonly errorCode: string | null }
  | { readonly kind: 'fail'; readonly errorCode: string }
  | { readonly kind: 'operate'; readonly move: Move }

export const newCommand: CommandState = {
  status: 'PENDING',
  attempts: 0,
  errorCode: null,
  finishedAs: null,
}

/** The state after the call, or null where the call must not have done anything. */
export function apply(state: CommandState, call: CommandCall): CommandState | null {
  switch (call.kind) {
    case 'receive':
      return isOpen(state)
        ? { ...state, status: call.as, attempts: state.attempts + 1, finishedAs: null }
        : null
    case 'fail':
      return isOpen(state) ? { ...state, errorCode: call.errorCode } : null
    case 'finish':
      return finish(state, call.status, call.errorCode)
    case 'operate':
      return operate(state, call.move)
  }
}

/** Whether workers still have to do with it. */
function isOpen(state: CommandState): boolean {
  return !isFinal(state) && state.status !== 'IN_TROUBLESHOOTING_QUEUE'
}

export function isFinal(state: CommandState): boolean {
  return isFinalStatus(state.status)
}

export function isFinalStatus(status: CommandStatus): boolean {
  return status === 'COMPLETED' || status === 'CANCELED' || status === 'FAILED'
}

/** A finish is always audited, so it never gives null; it may leave the command as it was. */
function finish(
  state: CommandState,
  status: CommandStatus,
  errorCode: string | null,
): CommandState {
  if (isFinal(state) || (state.status === status && state.finishedAs === status)) return state
  if (!isOpen(state) && !isFinalStatus(status)) return state
  return { ...state, status, errorCode: errorCode ?? state.errorCode, finishedAs: status }
}

/** Operators set the row: whatever it says, as long as it is not final. */
function operate(state: CommandState, move: Move): CommandState | null {
  if (isFinal(state) && state.status !== move) return null
  return move === 'PENDING'
    ? { ...state, status: move, attempts: 0, errorCode: null }
    : { ...state, status: move }
}

export interface Counts {
  readonly completed: number
  readonly canceled: number
  readonly failed: number
  readonly inTroubleshooting: number
}

/** What a batch's counters must say, given its commands. */
export function count(commands: readonly CommandState[]): Counts {
  const of = (status: CommandStatus) =>
    commands.filter((command) => command.status === status).length
  return {
    completed: of('COMPLETED'),
    canceled: of('CANCELED'),
    failed: of('FAILED'),
    inTroubleshooting: of('IN_TROUBLESHOOTING_QUEUE'),
  }
}

/** Whether a batch with these counters is complete. */
export function isComplete(counts: Counts, totalCount: number): boolean {
  return (
    totalCount > 0 &&
    counts.completed + counts.canceled + counts.failed === totalCount &&
    counts.inTroubleshooting === 0
  )
}

/** How far the counters of a running batch may be from its commands: not at all up to 1,000. */
export function maxLag(totalCount: number): number {
  return totalCount <= 1_000 ? 0 : Math.floor(totalCount * 0.05)
}
