import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Queryable } from '../../src/postgres/client.ts'
import { projectDir } from '../support/server.ts'

/** What plpgsql_check says of a function. */
export interface Finding {
  /** Without its schema and arguments. */
  readonly routine: string
  /** In the function's fixture, such as `migrations/fixtures/…/sp_start_batch.sql:12`. */
  readonly place: string
  /** `error`, `warning`, `warning extra`, `performance`, `security` or `compatibility`. */
  readonly level: string
  readonly message: string
}

/** Checks each PL/pgSQL function of the user's schemas, a trigger function for each table that it serves. */
export async function findFaults(client: Queryable): Promise<Finding[]> {
  const { rows } = await client.query<Omit<Finding, 'place'> & { schema: string; line: number }>(`
    select nspname as schema, proname as routine, lineno as line, level,
           concat_ws(': ', message, detail, query) as message
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      join pg_language on pg_language.oid = prolang and lanname = 'plpgsql'
      left join pg_trigger on tgfoid = pg_proc.oid
     cross join plpgsql_check_function_tb(pg_proc.oid, coalesce(tgrelid, 0), fatal_errors => false, all_warnings => true)
     where nspname !~ '^pg_' and nspname not in ('information_schema', 'pgmq')
     order by nspname, proname, lineno nulls first, message`)
  return rows.map(({ schema, line, ...found }) => ({
    ...found,
    place: locate(schema, found.routine, line ?? 1),
  }))
}

/** How many functions that checks. */
export async function countFunctions(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ count: number }>(`
    select count(*)::int
      from pg_proc
      join pg_language on pg_language.oid = prolang and lanname = 'plpgsql'
     where pronamespace::regnamespace::text !~ '^(pg_|information_schema|pgmq)'`)
  return rows[0]?.count ?? 0
}

/** The place in a function's fixture: the line with `as $$` is its first. */
export function locate(schema: string, routine: string, line: number): string {
  const path = `migrations/fixtures/${schema}/functions/${routine}.sql`
  if (!existsSync(join(projectDir, path))) return `${schema}.${routine}:${line}`
  const lines = readFileSync(join(projectDir, path), 'utf8').split('\n')
  return `${path}:${lines.findIndex((text) => /^as \$/.test(text)) + line}`
}
