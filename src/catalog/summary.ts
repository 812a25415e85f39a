import type { Queryable } from '../postgres/client.ts'
import { isExtensionMember, USER_SCHEMAS } from './scope.ts'

/** How PGMQ was installed; its version is known only where it is an extension. */
export interface PgmqFacts {
  readonly version: string | null
  readonly installedAs: 'extension' | 'sql'
  /** The columns of a message in their order, which PGMQ 1.10 changed; some clients read by position. */
  readonly messageColumns: readonly string[]
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

/** Summarises what the database holds for /status; without what PostgreSQL, extensions and tools own. */
export async function inspectDatabase(client: Queryable): Promise<DatabaseFacts> {
  const { rows } = await client.query<SchemaFacts & { schema: string }>(SCHEMAS)
  const { rows: installed } = await client.query<PgmqFacts>(PGMQ)
  const schemas = rows.map(({ schema, tables, functions }) => [schema, { tables, functions }])
  return { pgmq: installed[0] ?? null, schemas: Object.fromEntries(schemas) }
}

const PGMQ = `
with message as (
  select array(select attname::text
                 from pg_catalog.pg_attribute
                where attrelid = pg_catalog.to_regclass('pgmq.message_record')
                  and attnum > 0
                  and not attisdropped
                order by attnum) as columns
)
select extversion as version, 'extension' as "installedAs", columns as "messageColumns"
  from pg_catalog.pg_extension
 cross join message
 where extname = 'pgmq'
union all
select null, 'sql', columns
  from message
 where pg_catalog.to_regclass('pgmq.meta') is not null
 order by "installedAs"
 limit 1`

// An empty public schema is PostgreSQL's default; one that holds something is the user's.
const SCHEMAS = `
with user_schema as (
  select nspname as schema,
         array(select relname::text
                 from pg_catalog.pg_class
                where relnamespace = pg_namespace.oid
                  and relkind in ('r', 'p', 'f')
                  and not ${isExtensionMember('pg_class', 'pg_class.oid')}
                order by 1) as tables,
         array(select distinct proname::text
                 from pg_catalog.pg_proc
                where pronamespace = pg_namespace.oid
                  and not ${isExtensionMember('pg_proc', 'pg_proc.oid')}
                order by 1) as functions
    from pg_catalog.pg_namespace
   where ${USER_SCHEMAS}
)
select schema, tables, functions
  from user_schema
 where schema <> 'public' or tables <> '{}' or functions <> '{}'
 order by schema`
