import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'
import { isExtensionMember, USER_SCHEMAS } from './scope.ts'

/** What the user's schemas hold, for people to read. Names are as in the catalogue, not quoted. */
export interface SchemaOverview {
  readonly name: string
  readonly comment: string | null
  readonly tables: readonly TableOverview[]
  readonly views: readonly ViewOverview[]
  readonly routines: readonly RoutineOverview[]
}

export interface TableOverview {
  readonly name: string
  readonly comment: string | null
  /** Its partitions, on every level; they are not listed themselves. */
  readonly partitions: number
  readonly columns: readonly ColumnOverview[]
  readonly foreignKeys: readonly ForeignKeyOverview[]
}

export interface ColumnOverview {
  readonly name: string
  readonly type: string
  readonly isNullable: boolean
  readonly isPrimaryKey: boolean
}

export interface ForeignKeyOverview {
  readonly columns: readonly string[]
  readonly parentSchema: string
  readonly parentTable: string
  readonly parentColumns: readonly string[]
  /** At most one row refers to each row of the parent. */
  readonly isUnique: boolean
}

export interface ViewOverview {
  readonly name: string
  readonly comment: string | null
}

export interface RoutineOverview {
  readonly name: string
  readonly kind: 'function' | 'procedure' | 'aggregate' | 'trigger'
  /** With names, types and defaults. */
  readonly arguments: string
  /** Null for a procedure. */
  readonly result: string | null
  readonly comment: string | null
}

/** How many tables and views, and how many routines, are read at most, the oldest first. */
export const OVERVIEW_LIMIT = 1000

/** Reads the tables, views and routines of the user's schemas, in one statement that locks no table. */
export async function readSchemaOverview(client: Queryable): Promise<SchemaOverview[]> {
  const { rows } = await client.query<SchemaOverview>(OVERVIEW)
  return rows
}

const COLUMNS = sql`
  (select coalesce(jsonb_agg(jsonb_build_object(
            'name', attname,
            'type', format_type(atttypid, atttypmod),
            'isNullable', not attnotnull,
            'isPrimaryKey', coalesce(attnum = any (primary_key.conkey), false)) order by attnum), '[]')
     from pg_attribute
    where attrelid = relation.oid
      and attnum > 0
      and not attisdropped)`

const columnNames = (relation: string, numbers: string) => sql`
  (select jsonb_agg(attname order by position)
     from unnest(${numbers}) with ordinality as key (number, position)
     join pg_attribute on attrelid = ${relation} and attnum = number)`

// Of a partition, the keys that it has from its parent are not listed again.
const FOREIGN_KEYS = sql`
  (select coalesce(jsonb_agg(jsonb_build_object(
            'columns', ${columnNames('conrelid', 'conkey')},
            'parentSchema', parent_schema.nspname,
            'parentTable', parent.relname,
            'parentColumns', ${columnNames('confrelid', 'confkey')},
            'isUnique', exists (select from pg_index
                                 where indrelid = conrelid
                                   and indisunique
                                   and indpred is null
                                   and conkey @> (indkey::int2[])[0:indnkeyatts - 1])) order by conname), '[]')
     from pg_constraint
     join pg_class as parent on parent.oid = confrelid
     join pg_namespace as parent_schema on parent_schema.oid = parent.relnamespace
    where conrelid = relation.oid
      and contype = 'f'
      and conparentid = 0)`

const TABLES = sql`
  (select coalesce(jsonb_agg(jsonb_build_object(
            'name', relname,
            'comment', obj_description(relation.oid, 'pg_class'),
            'partitions', case relkind when 'p' then (select count(*) - 1 from pg_partition_tree(relation.oid))
                                       else 0 end,
            'columns', ${COLUMNS},
            'foreignKeys', ${FOREIGN_KEYS}) order by relname), '[]')
     from relation
     left join pg_constraint as primary_key on primary_key.conrelid = relation.oid and contype = 'p'
    where relnamespace = pg_namespace.oid
      and relkind in ('r', 'p', 'f'))`

const VIEWS = sql`
  (select coalesce(jsonb_agg(jsonb_build_object(
            'name', relname,
            'comment', obj_description(relation.oid, 'pg_class')) order by relname), '[]')
     from relation
    where relnamespace = pg_namespace.oid
      and relkind in ('v', 'm'))`

const ROUTINES = sql`
  (select coalesce(jsonb_agg(jsonb_build_object(
            'name', proname,
            'kind', case when prorettype = 'trigger'::regtype then 'trigger'
                         when prokind = 'p' then 'procedure'
                         when prokind = 'a' then 'aggregate'
                         else 'function' end,
            'arguments', pg_get_function_arguments(pg_proc.oid),
            'result', pg_get_function_result(pg_proc.oid),
            'comment', obj_description(pg_proc.oid, 'pg_proc'))
            order by proname, pg_get_function_arguments(pg_proc.oid)), '[]')
     from routine as pg_proc
    where pronamespace = pg_namespace.oid)`

// As in /status: an empty public schema is PostgreSQL's default.
const OVERVIEW = sql`
  with user_schema as materialized (
    select oid, nspname
      from pg_namespace
     where ${USER_SCHEMAS}),
  relation as materialized (
    select oid, relname, relnamespace, relkind
      from pg_class
     where relkind in ('r', 'p', 'f', 'v', 'm')
       and not relispartition
       and relnamespace in (select oid from user_schema)
       and not ${isExtensionMember('pg_class', 'pg_class.oid')}
     order by oid
     limit ${OVERVIEW_LIMIT}),
  routine as materialized (
    select *
      from pg_proc
     where pronamespace in (select oid from user_schema)
       and not ${isExtensionMember('pg_proc', 'pg_proc.oid')}
     order by oid
     limit ${OVERVIEW_LIMIT}),
  schema as (
    select nspname as name,
           obj_description(pg_namespace.oid, 'pg_namespace') as comment,
           ${TABLES} as tables,
           ${VIEWS} as views,
           ${ROUTINES} as routines
      from user_schema as pg_namespace)
  select name, comment, tables, views, routines
    from schema
   where name <> 'public' or tables <> '[]' or views <> '[]' or routines <> '[]'
   order by name`
