import type { Queryable } from '../../src/postgres/client.ts'
import { bodyFaultsSql, findPlpgsqlCheck, installPlpgsqlCheck } from '../plpgsql-check.ts'
import type { Failure } from './failure.ts'
import { findRoutineLine } from './routine-place.ts'

interface Fault {
  readonly schema: string
  readonly routine: string
  /** In the body; 1 is the line of the quote that opens it. */
  readonly line: number | null
  readonly message: string
  readonly code: string
  readonly detail: string | null
  readonly hint: string | null
}

/** Where the extension is while it is needed; its creation is rolled back. */
const SCHEMA = 'body_check_of_loop'

/**
 * Checks the bodies of the PL/pgSQL functions that were written since a transaction id with plpgsql_check, as far as
 * the server has it and the role may create it: PostgreSQL itself only finds out when a function runs. Returns what
 * would be an error then.
 */
export async function findBodyErrors(
  client: Queryable,
  since: string,
  migrationsDir: string,
): Promise<Failure[]> {
  const available = await findPlpgsqlCheck(client)
  if (available === undefined) return []
  try {
    await client.query(`begin; set local lock_timeout = '1s'`)
    if (available.schema === null) await installPlpgsqlCheck(client, SCHEMA)
    const faults = await client.query<Fault>(
      bodyFaultsSql(
        available.schema ?? SCHEMA,
        'message, sqlstate as code, detail, hint',
        `age(pg_proc.xmin) <= age('${since}'::xid) and level = 'error'`,
      ),
    )
    return faults.rows.map((fault) => describe(fault, migrationsDir))
  } catch {
    // The role may not create it, or another session is creating it: nothing is checked, as on a server without it.
    return []
  } finally {
    await client.query('rollback').catch(() => {})
  }
}

function describe({ line, detail, hint, ...fault }: Fault, migrationsDir: string): Failure {
  const name = `${fault.schema}.${fault.routine}`
  const place = line === null ? undefined : findRoutineLine({ name, line }, migrationsDir)
  return {
    message: place === undefined ? `${name}: ${fault.message}` : fault.message,
    code: fault.code,
    detail: detail ?? undefined,
    hint: hint ?? undefined,
    place,
  }
}
