/**
 * The command bus's database, typed: a thin function for each thing that a client does with it.
 * Each takes a pool or a client first; give several the same client to make them one transaction.
 */
export * from './audit.ts'
export * from './batches.ts'
export * from './commands.ts'
export {
  BatchNotFoundError,
  CommandBusError,
  CommandIsFinalError,
  DuplicateBatchError,
  DuplicateCommandError,
  InvalidValueError,
  isRetryable,
  QueueNotFoundError,
  RetryableError,
} from './errors.ts'
export * from './operators.ts'
export * from './processes.ts'
export type { Queryable } from './query.ts'
export * from './queues.ts'
export type * from './schema/commandbus.ts'
