import pg from 'pg'
import type { DevelopmentDatabase } from '../../dev/database.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { locate } from '../plpgsql/findings.ts'
import { hasPlpgsqlCheck, startPostgres15 } from '../support/debian-server.ts'
import { installStandIn } from '../support/migrated-15.ts'

/** Which statements of a PL/pgSQL function ran, by plpgsql_check's profiler. */
export interface Coverage {
  readonly schema: string
  readonly name: string
  readonly statements: number
  readonly ran: number
  /** Where a statement begins that never ran: `migrations/fixtures/…/settle_batch.sql:45`, and which statement it is. */
  readonly missed: readonly string[]
}

export const MISSING = hasPlpgsqlCheck()
  ? undefined
  : "NOT MEASURED: coverage needs Debian's packages postgresql-15 and postgresql-15-plpgsql-check"

/** In a schema that no test looks at. */
const SCHEMA = 'profiler'

/** Starts a PostgreSQL 15 that profiles every PL/pgSQL function; its database has the stand-in for PGMQ. */
export async function startProfiledServer(): Promise<DevelopmentDatabase> {
  const ends: (() => Promise<void>)[] = []
  const end = (work: () => Promise<void>) => ends.push(work)
  const url = await startPostgres15(
    { teardown: end },
    { shared_preload_libraries: 'plpgsql,plpgsql_check', 'plpgsql_check.profiler': 'on' },
  )
  await installStandIn(url)
  const close = async () => {
    for (const work of ends) await work()
  }
  return { url, rootUrl: url, shadowUrl: undefined, name: 'postgres', close }
}

/** Makes the profile of this database readable. */
export async function prepareProfile(url: string): Promise<void> {
  await withClient(url, (client) =>
    client.query(`create schema ${SCHEMA}; create extension plpgsql_check schema ${SCHEMA}`),
  )
}

/** Reads the profile of every PL/pgSQL function of ours. Blocks are left out: they hold statements, and are none. */
export function readCoverage(url: string): Promise<Coverage[]> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<Omit<Coverage, 'missed'> & { missed: Missed[] }>(
      `select nspname as schema, proname as name, count(*)::int as statements,
              count(*) filter (where exec_stmts > 0)::int as ran,
              coalesce(json_agg(json_build_object('line', lineno, 'statement', stmtname) order by lineno)
                         filter (where exec_stmts = 0), '[]') as missed
         from pg_proc
         join pg_namespace on pg_namespace.oid = pronamespace
         join pg_language on pg_language.oid = prolang and lanname = 'plpgsql'
        cross join ${SCHEMA}.plpgsql_profiler_function_statements_tb(pg_proc.oid)
        where nspname !~ '^pg_' and nspname not in ('information_schema', 'pgmq', '${SCHEMA}')
          and stmtname <> 'statement block'
        group by nspname, proname, pg_proc.oid
        order by nspname, proname`,
    )
    return rows.map(({ missed, ...row }) => ({
      ...row,
      missed: missed.map(
        ({ line, statement }) => `${locate(row.schema, row.name, line)} (${statement})`,
      ),
    }))
  })
}

interface Missed {
  readonly line: number
  readonly statement: string
}

/** Says why a name has no line of its own: plpgsql_check counts the statements of PL/pgSQL functions alone. */
export function describeUncounted(names: readonly string[]): string {
  return `not counted: ${names.join(', ')}; only a function in PL/pgSQL has statements to count, a function in SQL or a view has none`
}

/** A line for each function: `12/12  statements of count_in_rows`, then the statements that never ran. */
export function describeCoverage(coverage: readonly Coverage[]): string[] {
  return coverage.flatMap(({ name, statements, ran, missed }) => [
    `${String(ran).padStart(3)}/${String(statements).padEnd(3)} statements of ${name}`,
    ...missed.map((place) => `        never ran: ${place}`),
  ])
}

async function withClient<T>(url: string, work: (client: Queryable) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return work(client).finally(() => client.end())
}
