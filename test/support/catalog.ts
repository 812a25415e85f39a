import type { Pool } from 'pg'

/** Describes what schemas contain, apart from rows, owners and privileges, as lines to compare databases by. */
export async function describeSchemas(pool: Pool, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `with relation as (
       select pg_class.oid::regclass::text as name, pg_class.*
         from pg_class
        where relnamespace = any (select to_regnamespace(schema) from unnest($1::text[]) as schema)
     )
     select format('%s %s %s %s', relkind, name, relpersistence, reloptions) as line
       from relation
      union all
     select format('column %s %s.%s %s %s %s %s',
              row_number() over (partition by attrelid order by attnum), relation.name, attname,
              format_type(atttypid, atttypmod), case when attnotnull then 'not null' end,
              pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
       from relation
       join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped
       left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where relation.relkind in ('r', 'v')
      union all
     select format('sequence %s of %s.%s, a %s', relation.name, refobjid::regclass, attname, pg_sequence.seqtypid::regtype)
       from relation
       join pg_sequence on seqrelid = relation.oid
       join pg_depend on classid = 'pg_class'::regclass and objid = relation.oid and deptype = 'a'
       join pg_attribute on attrelid = refobjid and attnum = refobjsubid
      union all
     select format('%s %s %s %s', relation.name, conname, pg_get_constraintdef(pg_constraint.oid), convalidated)
       from relation join pg_constraint on conrelid = relation.oid
      union all
     select pg_get_indexdef(indexrelid) from relation join pg_index on indrelid = relation.oid
      union all
     select pg_get_triggerdef(pg_trigger.oid)
       from relation join pg_trigger on tgrelid = relation.oid and not tgisinternal
      union all
     select format('comment %s %s %s', relation.name, objsubid, description)
       from relation
       join pg_description on objoid = relation.oid and classoid = 'pg_class'::regclass and objsubid = 0
      union all
     select format('function %s %s %s', pg_proc.oid::regprocedure, md5(pg_get_functiondef(pg_proc.oid)),
              obj_description(pg_proc.oid, 'pg_proc'))
       from pg_proc
      where pronamespace = any (select to_regnamespace(schema) from unnest($1::text[]) as schema)
      order by 1`,
    [schemas],
  )
  return rows.map((row) => row.line)
}

/** The rows of a table as JSON, without the columns in `leaveOut`, in a fixed order. */
export async function loadRows(
  pool: Pool,
  table: string,
  leaveOut: readonly string[] = [],
): Promise<string[]> {
  const { rows } = await pool.query<{ row: string }>(
    `select (to_jsonb(whole_row) - $1::text[])::text as row from ${table} as whole_row order by 1`,
    [leaveOut],
  )
  return rows.map(({ row }) => row)
}
