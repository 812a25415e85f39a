import { USER_SCHEMAS } from '../../src/catalog/definitions/definitions.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { sql } from '../../src/postgres/sql-text.ts'
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

/** Where the extension is while it is needed: what creates it is rolled back. */
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
  const { rows } = await client.query<{ schema: string | null }>(INSTALLED_SQL)
  const [available] = rows
  if (available === undefined) return []
  try {
    await client.query(`begin; set local lock_timeout = '1s'`)
    if (available.schema === null) {
      await client.query(`create schema ${SCHEMA}; create extension plpgsql_check schema ${SCHEMA}`)
    }
    const faults = await client.query<Fault>(faultsSql(available.schema ?? SCHEMA, since))
    return faults.rows.map((fault) => describe(fault, migrationsDir))
  } catch {
    // The role may not, or another session is at it: then it is as on a server without the extension.
    return []
  } finally {
    await client.query('rollback').catch(() => {})
  }
}

/** No row where the server does not have it; null for the schema where only the database does not. */
const INSTALLED_SQL = sql`
  select (select quote_ident(nspname)
            from pg_extension
            join pg_namespace on pg_namespace.oid = extnamespace
           where extname = 'plpgsql_check') as schema
    from pg_available_extensions
   where name = 'plpgsql_check'`

const faultsSql = (schema: string, since: string) => sql`
  select nspname as schema, proname as routine, lineno as line, message, sqlstate as code, detail, hint
    from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace and ${USER_SCHEMAS}
    join pg_language on pg_language.oid = prolang and lanname = 'plpgsql'
    left join pg_trigger on tgfoid = pg_proc.oid and not tgisinternal
   cross join ${schema}.plpgsql_check_function_tb(pg_proc.oid, coalesce(tgrelid, 0), fatal_errors => false)
   where age(pg_proc.xmin) <= age('${since}'::xid)
     and (prorettype <> 'trigger'::regtype or tgrelid is not null)
     and level = 'error'
   order by nspname, proname, lineno nulls first, message`

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
