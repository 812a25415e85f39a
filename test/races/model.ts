import type { CommandStatus } from '../../client/client.ts'
import type { Move, ReceiveStatus } from './schedule.ts'

/** What the model knows of a command: what the contract says, and nothing of the implementation. */
export interface CommandState {
  readonly status: CommandStatus
  readonly attempts: number
  readonly errorCode: string | null
  /** The status that a finish set since the last receive: the same finish again is a duplicate. */
  readonly finishedAs: CommandStatus | null
}

/** A call that can change a command. With `errorCode` null, the command keeps its error. */
export type CommandCall =
  | { readonly kind: 'receive'; readonly as: ReceiveStatus }
  | { readonly kind: 'finish'; readonly status: CommandStatus; readonly errorCode: string | null }
  | { readonly kind: 'fail'; readonly errorCode: string }
  | { readonly kind: 'operate'; readonly move: Move }

/** A command as it is inserted. */
export function insertedAs(status: CommandStatus): CommandState {
  return { status, attempts: 0, errorCode: null, finishedAs: null }
}

/** The state after the call, or null if the call must not change anything. */
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

export function isFinal(status: CommandStatus): boolean {
  return status === 'COMPLETED' || status === 'CANCELED' || status === 'FAILED'
}

/** Whether a worker may still process it. */
function isOpen({ status }: CommandState): boolean {
  return !isFinal(status) && status !== 'IN_TROUBLESHOOTING_QUEUE'
}

/** A finish is always audited, so this is never null; it may leave the command unchanged. */
function finish(
  state: CommandState,
  status: CommandStatus,
  errorCode: string | null,
): CommandState {
  const isDuplicate = state.status === status && state.finishedAs === status
  if (isFinal(state.status) || isDuplicate) return state
  if (!isOpen(state) && !isFinal(status)) return state
  return { ...state, status, errorCode: errorCode ?? state.errorCode, finishedAs: status }
}

/** Operators set the row, whatever its status, unless that is final. */
function operate(state: CommandState, move: Move): CommandState | null {
  if (isFinal(state.status) && state.status !== move) return null
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

/** What a batch's counters must say, given its commands' statuses. */
export function count(statuses: readonly (CommandStatus | null)[]): Counts {
  const of = (status: CommandStatus) => statuses.filter((other) => other === status).length
  return {
    completed: of('COMPLETED'),
    canceled: of('CANCELED'),
    failed: of('FAILED'),
    inTroubleshooting: of('IN_TROUBLESHOOTING_QUEUE'),
  }
}

/** The status for which a batch's counters include a command; null if they do not. */
export function countedAs(status: CommandStatus): CommandStatus | null {
  return isFinal(status) || status === 'IN_TROUBLESHOOTING_QUEUE' ? status : null
}

/** Whether a batch with these counters is complete. */
export function isComplete(counts: Counts, totalCount: number): boolean {
  return (
    totalCount > 0 &&
    counts.completed + counts.canceled + counts.failed === totalCount &&
    counts.inTroubleshooting === 0
  )
}

/** How far the counters of a running batch may lag: not at all up to 1,000 commands. */
export function maxLag(totalCount: number): number {
  return totalCount <= 1_000 ? 0 : Math.floor(totalCount * 0.05)
}

export interface ProcessState {
  readonly status: string
  /** Whether one of its commands is in troubleshooting. */
  readonly isTroubled: boolean
}

/** What a refresh must write for a batch of these processes. */
export function countProcesses(processes: readonly ProcessState[], totalCount: number): Counts {
  const having = (...statuses: string[]) =>
    processes.filter(({ status }) => statuses.includes(status)).length
  const ended = ['COMPLETED', 'COMPENSATED', 'FAILED', 'CANCELED']
  const troubled = processes.filter(
    ({ status, isTroubled }) => isTroubled && !ended.includes(status),
  ).length
  const completed = Math.min(having('COMPLETED', 'COMPENSATED'), totalCount)
  const canceled = Math.min(having('FAILED', 'CANCELED'), totalCount - completed)
  const inTroubleshooting = Math.min(troubled, totalCount - completed - canceled)
  return { completed, canceled, failed: 0, inTroubleshooting }
}
