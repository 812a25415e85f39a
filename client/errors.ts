/**
 * An error that the database raised on purpose or that a client must expect. `code` is the SQLSTATE;
 * PostgreSQL's own error, with detail and hint, is the `cause`. Any other error passes unchanged.
 */
export class CommandBusError extends Error {
  readonly code: string

  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause })
    this.name = new.target.name
    this.code = code
  }
}

/** 40001 or 40P01: nothing is wrong, another transaction was first. Run the whole transaction again. */
export class RetryableError extends CommandBusError {}

/** 55000: the command is COMPLETED, CANCELED or FAILED and keeps that status. Roll back and read it again. */
export class CommandIsFinalError extends CommandBusError {}

/** The (domain, command id) already exists: the command was sent before. */
export class DuplicateCommandError extends CommandBusError {}

/** The (domain, batch id) already exists. */
export class DuplicateBatchError extends CommandBusError {}

/** A command names a batch that does not exist: insert the batch first. */
export class BatchNotFoundError extends CommandBusError {}

/** A queue with this name has not been created: no such table in schema `pgmq`. */
export class QueueNotFoundError extends CommandBusError {}

/** A status, kind or value that the schema does not know, or a counter that would break its bounds. */
export class InvalidValueError extends CommandBusError {}

/** Whether the same transaction, run again from its start, may well succeed. */
export function isRetryable(error: unknown): boolean {
  const code = sqlState(error)
  return code === '40001' || code === '40P01'
}

/** Names PostgreSQL's errors; returns any other error unchanged. */
export function toCommandBusError(error: unknown, statement: string): unknown {
  const named = nameOf(error, statement)
  const code = sqlState(error)
  if (named === undefined || code === undefined) return error
  return new named(error instanceof Error ? error.message : String(error), code, error)
}

function nameOf(error: unknown, statement: string): typeof CommandBusError | undefined {
  switch (sqlState(error)) {
    case '40001':
    case '40P01':
      return RetryableError
    case '55000':
      return CommandIsFinalError
    case '23505':
      return byTable(error, { command: DuplicateCommandError, batch: DuplicateBatchError })
    case '23503':
      return byTable(error, { command: BatchNotFoundError })
    case '22004':
    case '22023':
    case '22P02':
    case '23502':
    case '23514':
      return InvalidValueError
    case '42P01':
      // The error does not say which table; without a schema commandbus it is another story.
      return statement.includes('pgmq.') ? QueueNotFoundError : undefined
    default:
      return undefined
  }
}

function byTable(
  error: unknown,
  names: Readonly<Record<string, typeof CommandBusError>>,
): typeof CommandBusError | undefined {
  const { schema, table } = error as { schema?: unknown; table?: unknown }
  return schema === 'commandbus' && typeof table === 'string' ? names[table] : undefined
}

function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
