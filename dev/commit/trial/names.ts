import type { Queryable } from '../../../src/postgres/client.ts'

/** Names that need no schema, whatever search_path is. */
export interface NameLists {
  /** Of PostgreSQL's own functions, types and relations. */
  readonly functions: ReadonlySet<string>
  readonly types: ReadonlySet<string>
  readonly relations: ReadonlySet<string>
  /** What triggers call the rows of a statement: `referencing new table as …`. */
  readonly transitions: ReadonlySet<string>
}

export async function readNames(client: Queryable): Promise<NameLists> {
  const read = async (sql: string) => {
    const { rows } = await client.query<{ name: string }>(sql)
    return new Set(rows.map(({ name }) => name))
  }
  const own = (table: string, column: string, schema: string) =>
    read(`select distinct ${column}::text as name from pg_catalog.${table}
           where ${schema} = 'pg_catalog'::pg_catalog.regnamespace`)
  return {
    functions: await own('pg_proc', 'proname', 'pronamespace'),
    types: await own('pg_type', 'typname', 'typnamespace'),
    relations: await own('pg_class', 'relname', 'relnamespace'),
    transitions: await read(
      `select name::text from pg_catalog.pg_trigger
        cross join unnest(array[tgoldtable, tgnewtable]) as name where name is not null`,
    ),
  }
}
