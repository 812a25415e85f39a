import { type Statement, visitStatements } from './statements.ts'
import type { TokenOptions } from './tokens.ts'

/** A statement that no migration may contain. */
export interface Refusal {
  readonly reason: 'transaction_control' | 'psql_command' | 'copy_through_client'
  /** Where the statement begins in the script. */
  readonly offset: number
  /** The statement, or its beginning if it is long. */
  readonly statement: string
  /** What is wrong, as the rest of a sentence about the statement. */
  readonly problem: string
  readonly remedy: string
}

export interface RefusalOptions extends TokenOptions {
  /** The script runs outside a transaction (`--! no-transaction`), and may control its own. */
  readonly noTransaction: boolean
}

/** How much of a refused statement is shown. */
export const MAX_STATEMENT_LENGTH = 100

const EXPLANATIONS: Readonly<Record<Refusal['reason'], { problem: string; remedy: string }>> = {
  transaction_control: {
    problem: 'begins, ends or prepares a transaction',
    remedy:
      'remove it: each migration runs in a transaction of its own, together with its entry in the ' +
      'history; a file that cannot run in one begins with the line --! no-transaction',
  },
  psql_command: {
    problem: "is a command of psql's, not SQL",
    remedy:
      'delete the line, or write what it does in SQL; in a dump, \\restrict, \\unrestrict and ' +
      '\\connect can be deleted',
  },
  copy_through_client: {
    problem: 'copies rows from or to the client, and a migration has none',
    remedy:
      'write the rows as insert statements (pg_dump --inserts does), or copy from or to a file of ' +
      'the server',
  },
}

/** Says where the statement is, what is wrong with it, and what to do. */
export function describeRefusal(
  { statement, problem, remedy }: Pick<Refusal, 'statement' | 'problem' | 'remedy'>,
  line: number | undefined,
): string {
  const place = line === undefined ? `it ${problem}` : `line ${line}: "${statement}" ${problem}`
  return `${place}; ${remedy}`
}

/** Finds the first statement that a migration must not contain; undefined if there is none. */
export function findRefusal(sql: string, options: RefusalOptions): Refusal | undefined {
  let refusal: Refusal | undefined
  const visit = (statement: Statement): boolean => {
    const reason = findReason(statement, options)
    if (reason === undefined) return false
    const { start, end, isPsqlCommand } = statement
    const newline = sql.indexOf('\n', start)
    const stop = isPsqlCommand ? (newline === -1 ? sql.length : newline) : end
    const text = sql.slice(start, Math.min(stop, start + MAX_STATEMENT_LENGTH)).trim()
    refusal = { ...refuse(reason, start), statement: text }
    return true
  }
  visitStatements(sql, visit, options)
  return refusal
}

/** Explains why a statement is refused. */
export function refuse(reason: Refusal['reason'], offset: number): Omit<Refusal, 'statement'> {
  return { reason, offset, ...EXPLANATIONS[reason] }
}

/** Why a migration must not contain the statement; undefined if it may. */
export function findReason(
  statement: Statement,
  { noTransaction }: RefusalOptions,
): Refusal['reason'] | undefined {
  if (statement.isPsqlCommand) return 'psql_command'
  if (statement.copiesThroughClient) return 'copy_through_client'
  if (!noTransaction && controlsTransaction(statement.beginning)) return 'transaction_control'
  return undefined
}

/** Savepoints stay inside the transaction, so they are allowed. */
function controlsTransaction([first, second, third]: readonly string[]): boolean {
  switch (first) {
    case 'begin':
    case 'commit':
    case 'end':
    case 'abort':
      return true
    case 'start':
      return second === 'transaction'
    case 'prepare':
      // A prepared statement may have the name "transaction", too.
      return second === 'transaction' && third === "'"
    case 'rollback':
      return second !== 'to' && !(/^(?:work|transaction)$/.test(second ?? '') && third === 'to')
    default:
      return false
  }
}
