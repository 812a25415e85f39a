import type { Pool } from 'pg'

/** How PGMQ came into the database; its version is known where it is an extension. */
export interface PgmqFacts {
  readonly version: string | null
  readonly installedAs: 'extension' | 'sql'
}

/** The names of a schema's tables and functions. */
export interface SchemaFacts {
  readonly tables: readonly string[]
  readonly functions: readonly string[]
}

export interface DatabaseFacts {
  readonly pgmq: PgmqFacts | null
  readonly schemas: Readonly<Record<string, SchemaFacts>>
}

/** Reads what is in the database, for people; the system's, extensions' and tools' things left out. */
export async function inspectDatabase(pool: Pick<Pool, 'query'>): Promise<DatabaseFacts> {
  const { rows } = await pool.query<SchemaFacts & { schema: string }>(SCHEMAS)
  const { rows: installed } = await pool.query<PgmqFacts>(PGMQ)
  const schemas = rows.map(({ schema, tables, functions }) => [schema, { tables, functions }])
  return { pgmq: installed[0] ?? null, schemas: Object.fromEntries(schemas) }
}

const PGMQ = `
select extversion as version, 'extension' as "installedAs"
  from pg_catalog.pg_extension
 where extname = 'pgmq'
union all
select null, 'sql'
 where pg_catalog.to_regclass('pgmq.meta') is not null
 order by "installedAs"
 limit 1`

// An empty public schema is PostgreSQL's own; with something in it, it is somebody's.
const SCHEMAS = `
with names as (
  select n.oid, n.nspname as schema,
         array(select c.relname::text
                 from pg_catalog.pg_class c
                where c.relnamespace = n.oid
                  and c.relkind in ('r', 'p', 'f')
                  and not exists (
                    select from pg_catalog.pg_depend d
                     where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                       and d.objid = c.oid and d.deptype = 'e')
                order by 1) as tables,
         array(select distinct p.proname::text
                 from pg_catalog.pg_proc p
                where p.pronamespace = n.oid
                  and not exists (
                    select from pg_catalog.pg_depend d
                     where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                       and d.objid = p.oid and d.deptype = 'e')
                order by 1) as functions
    from pg_catalog.pg_namespace n
   where n.nspname !~ '^pg_'
     and n.nspname not in ('information_schema', 'graphile_migrate', 'provisioning', 'pgmq')
     and not exists (
       select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
          and d.objid = n.oid and d.deptype = 'e')
)
select schema, tables, functions
  from names
 where schema <> 'public' or tables <> '{}' or functions <> '{}'
 order by schema`
