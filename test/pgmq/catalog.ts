import type { Pool } from 'pg'

/** Everything in schema pgmq that a user can name, as PostgreSQL describes it. */
export interface Catalog {
  readonly functions: string[]
  readonly columns: string[]
  readonly indexes: string[]
}

/** Reads the catalog; a queue `sample` and an unlogged `swift` have been made. */
export async function readCatalog(pool: Pool): Promise<Catalog> {
  // Names that begin with an underscore are each implementation's own.
  const functions = await lines(`
    select format('%s(%s) returns %s', p.proname, pg_get_function_arguments(p.oid),
                  pg_get_function_result(p.oid))
      from pg_proc p
     where p.pronamespace = 'pgmq'::regnamespace and p.proname not like '\\_%'
     order by 1`)
  // In any order, which differs on purpose; and the stand-in has no table for topics.
  const columns = await lines(`
    select format('%s.%s %s %s%s%s%s', c.oid::regclass, a.attname,
                  format_type(a.atttypid, a.atttypmod), c.relpersistence,
                  case when a.attnotnull then ' not null' end,
                  case when a.attidentity <> '' then ' identity ' || a.attidentity::text end,
                  ' default ' || pg_get_expr(d.adbin, d.adrelid))
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'c', 'p')
       and c.relname <> 'topic_bindings'
     order by 1`)
  const indexes = await lines(`
    select indexdef from pg_indexes
     where schemaname = 'pgmq' and (tablename like '%\\_sample' or tablename like '%\\_swift')
     order by 1`)
  return { functions, columns, indexes }

  async function lines(sql: string): Promise<string[]> {
    const { rows } = await pool.query({ text: sql, rowMode: 'array' })
    return rows.map(([line]) => line)
  }
}
