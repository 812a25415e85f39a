import { USER_SCHEMAS } from '../src/catalog/scope.ts'
import type { Queryable } from '../src/postgres/client.ts'
import { sql } from '../src/postgres/sql-text.ts'

/**
 * Finds plpgsql_check: its schema, quoted, or null if the server has the extension and the database does not. Returns
 * undefined if the server does not have it.
 */
export async function findPlpgsqlCheck(
  client: Queryable,
): Promise<{ readonly schema: string | null } | undefined> {
  const { rows } = await client.query<{ schema: string | null }>(sql`
    select (select quote_ident(nspname)
              from pg_catalog.pg_extension
              join pg_catalog.pg_namespace on pg_namespace.oid = extnamespace
             where extname = 'plpgsql_check') as schema
      from pg_catalog.pg_available_extensions
     where name = 'plpgsql_check'`)
  return rows[0]
}

/** Installs plpgsql_check in a new schema. */
export async function installPlpgsqlCheck(client: Queryable, schema: string): Promise<void> {
  await client.query(`create schema ${schema}; create extension plpgsql_check schema ${schema}`)
}

/**
 * SQL: a select of what plpgsql_check, installed in `schema`, finds in the bodies of the user's PL/pgSQL functions, a
 * trigger function for each of its triggers. `columns` may also name those of pg_proc, pg_namespace and pg_trigger.
 */
export function bodyFaultsSql(schema: string, columns: string, condition = 'true'): string {
  return sql`
    select nspname as schema, proname as routine, lineno as line, ${columns}
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace and ${USER_SCHEMAS}
      join pg_language on pg_language.oid = prolang and lanname = 'plpgsql'
      left join pg_trigger on tgfoid = pg_proc.oid and not tgisinternal
     cross join ${schema}.plpgsql_check_function_tb(pg_proc.oid, coalesce(tgrelid, 0), fatal_errors => false)
     where (prorettype <> 'trigger'::regtype or tgrelid is not null)
       and ${condition}
     order by nspname, proname, lineno nulls first, message`
}
