import { randomBytes } from 'node:crypto'
import type { Queryable } from '../postgres/client.ts'
import { isBlocked } from '../postgres/errors.ts'
import { literal } from '../postgres/quote.ts'

/** Writes a query; `list` is an expression of type text[], which may be null. */
export type Statement = (list: string) => string

/** Runs the queries of a check, each in a transaction of its own, that waits for a lock for 50 ms at most. */
export interface Statements {
  /** `list` is the query's; null by default. Rejects with `lock_not_available` where a lock was not free. */
  run<Row>(statement: Statement, list?: readonly string[]): Promise<readonly Row[]>
}

/** How long to wait for a lock: a session that waits for the same table has to wait behind this one. */
const LOCK_LIMIT = `set local lock_timeout = '50ms'`

/** The session also does other work, which must not be delayed. */
const MAX_MS = 250

const listSql = (list: readonly string[] | undefined) =>
  `${list === undefined ? 'null' : `array[${list.map(literal).join(', ')}]`}::text[]`

/** Runs them in any session; in a new one each is planned, and PostgreSQL reads the catalogues for it. */
export function plainStatements(client: Queryable): Statements {
  return {
    run: (statement, list) => runLast(client, `${LOCK_LIMIT}; ${statement(listSql(list))}`),
  }
}

/** After so many failures in a row the schema is too large for it, or the session is not one of a single backend. */
const MAX_FAILURES = 3

/**
 * Runs them in one session, which keeps their plans: a tenth of the cost. Where that fails, or takes longer than
 * `maxMs`, they run in `others`; after three failures in a row always.
 */
export function preparedStatements(
  session: Queryable,
  others: Statements,
  maxMs = MAX_MS,
): Statements {
  const limits = `${LOCK_LIMIT}; set local statement_timeout = ${maxMs}`
  const names = new Map<Statement, string>()
  let failures = 0

  async function prepare(statement: Statement): Promise<string> {
    // A pooler may hand a backend on with what its last client prepared.
    const name = `drift_${randomBytes(8).toString('hex')}`
    await session.query(`${limits}; prepare ${name} (text[]) as ${statement('$1')}`)
    names.set(statement, name)
    return name
  }

  async function run<Row>(statement: Statement, list?: readonly string[]) {
    const name = names.get(statement) ?? (await prepare(statement))
    return runLast<Row>(
      session,
      `${limits}; set local plan_cache_mode = force_generic_plan; execute ${name} (${listSql(list)})`,
    )
  }

  return {
    async run<Row>(statement: Statement, list?: readonly string[]) {
      if (failures === MAX_FAILURES) return others.run<Row>(statement, list)
      try {
        const rows = await run<Row>(statement, list)
        failures = 0
        return rows
      } catch (error) {
        if (isBlocked(error)) throw error
        failures += 1
        return others.run<Row>(statement, list)
      }
    },
  }
}

/** Several statements in one message are one transaction, to which the limits belong. */
async function runLast<Row>(client: Queryable, text: string): Promise<readonly Row[]> {
  const results = (await client.query(text)) as unknown as readonly { readonly rows: Row[] }[]
  return results.at(-1)?.rows ?? []
}
