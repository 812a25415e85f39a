import { USER_SCHEMAS } from '../../src/catalog/definitions/definitions.ts'
import type { Queryable } from '../../src/postgres/client.ts'

/** What plpgsql_check says of a function. */
export interface BodyFault {
  readonly schema: string
  readonly routine: string
  /** In the body; 1 is the line of the quote that opens it. */
  readonly line: number | null
  readonly level: string
  readonly message: string
  /** The same for the same fault, whatever moved it. */
  readonly key: string
}

/** Of plpgsql_check in the shadow database. */
const SCHEMA = 'body_check_of_commit'

/** Installs plpgsql_check in the shadow database. Returns why that is not possible; undefined if it is. */
export async function prepareBodyCheck(client: Queryable): Promise<string | undefined> {
  const { rows } = await client.query(
    "select from pg_catalog.pg_available_extensions where name = 'plpgsql_check'",
  )
  if (rows.length === 0) return 'this server has no plpgsql_check'
  try {
    await client.query(`create schema ${SCHEMA}`)
    await client.query(`create extension plpgsql_check schema ${SCHEMA}`)
    return undefined
  } catch (error) {
    return `plpgsql_check could not be installed in the shadow database (${(error as Error).message})`
  }
}

/** Checks the bodies of all PL/pgSQL functions: a migration may change what unchanged ones use. */
export async function findBodyFaults(client: Queryable): Promise<BodyFault[]> {
  const { rows } = await client.query<BodyFault>(`
    select nspname as schema, proname as routine, lineno as line, level,
           concat_ws(': ', message, detail) as message,
           concat_ws(' ', nspname, proname, tgrelid, level, message, detail, query) as key
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace and ${USER_SCHEMAS}
      join pg_language on pg_language.oid = prolang and lanname = 'plpgsql'
      left join pg_trigger on tgfoid = pg_proc.oid and not tgisinternal
     cross join ${SCHEMA}.plpgsql_check_function_tb(pg_proc.oid, coalesce(tgrelid, 0), fatal_errors => false)
     where prorettype <> 'trigger'::regtype or tgrelid is not null
     order by nspname, proname, lineno nulls first, message`)
  return rows
}
