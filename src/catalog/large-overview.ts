import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { OVERVIEW_LIMIT } from './overview.ts'
import { isExtensionMember, USER_SCHEMAS } from './scope.ts'

/** What takes the place of the overview where there is more than anybody reads. Names are not quoted. */
export interface LargeOverview {
  readonly counts: ObjectCounts
  readonly schemaCount: number
  /** Those with the most tables, views and routines, the largest first. */
  readonly schemas: readonly (ObjectCounts & { readonly name: string })[]
  /** The largest first. */
  readonly largestTables: readonly TableSize[]
}

/** Partitions are not counted. */
export interface ObjectCounts {
  readonly tables: number
  readonly views: number
  readonly routines: number
}

/** PostgreSQL's latest estimates, for all partitions together; null if there are none yet. */
export interface TableSize {
  readonly schema: string
  readonly name: string
  readonly partitions: number
  readonly rows: number | null
  /** Without indexes and what is stored out of line. */
  readonly bytes: number | null
}

const MAX_SCHEMAS = 50
const MAX_TABLES = 20

/**
 * Counts what is in the user's schemas, if they hold more than OVERVIEW_LIMIT tables and views, or routines;
 * undefined otherwise. One statement that locks no table.
 */
export async function readLargeOverview(client: Queryable): Promise<LargeOverview | undefined> {
  const { rows } = await client.query<{ overview: LargeOverview | null }>(LARGE_OVERVIEW)
  return rows[0]?.overview ?? undefined
}

const COUNTS = sql`
  coalesce(sum(tables), 0)::int as tables,
  coalesce(sum(views), 0)::int as views,
  coalesce(sum(routines), 0)::int as routines`

const LARGEST_TABLES = sql`
  (select coalesce(jsonb_agg(to_jsonb(largest) - 'size' order by size desc, largest.schema, name), '[]')
     from (
       select nspname as schema, root.relname as name,
              count(*) filter (where part.relispartition) as partitions,
              sum(part.reltuples) filter (where part.reltuples >= 0) as rows,
              nullif(sum(part.relpages), 0) * current_setting('block_size')::bigint as bytes,
              sum(part.relpages) as size
         from pg_class as part
         join pg_class as root
           on root.oid = case when part.relispartition then pg_partition_root(part.oid) else part.oid end
         join user_schema on user_schema.oid = root.relnamespace
        where part.relkind in ('r', 'p')
        group by nspname, root.oid, root.relname
        order by size desc, nspname, root.relname
        limit ${MAX_TABLES}) as largest)`

const LARGE_OVERVIEW = sql`
  with user_schema as materialized (
    select oid, nspname
      from pg_namespace
     where ${USER_SCHEMAS}),
  found as (
    select relnamespace as schema,
           case when relkind in ('r', 'p', 'f') then 1 else 0 end as tables,
           case when relkind in ('v', 'm') then 1 else 0 end as views,
           0 as routines
      from pg_class
     where relkind in ('r', 'p', 'f', 'v', 'm')
       and not relispartition
       and not ${isExtensionMember('pg_class', 'pg_class.oid')}
    union all
    select pronamespace, 0, 0, 1
      from pg_proc
     where not ${isExtensionMember('pg_proc', 'pg_proc.oid')}),
  schema as materialized (
    select nspname as name,
           ${COUNTS}
      from user_schema
      join found on found.schema = user_schema.oid
     group by nspname),
  total as materialized (
    select ${COUNTS},
           count(*)::int as schemas
      from schema)
  select case when greatest(tables + views, routines) > ${OVERVIEW_LIMIT} then
           jsonb_build_object(
             'counts', jsonb_build_object('tables', tables, 'views', views, 'routines', routines),
             'schemaCount', schemas,
             'schemas', (select jsonb_agg(to_jsonb(shown) order by tables + views + routines desc, name)
                           from (select *
                                   from schema
                                  order by tables + views + routines desc, name
                                  limit ${MAX_SCHEMAS}) as shown),
             'largestTables', ${LARGEST_TABLES})
         end as overview
    from total`
