import { sql } from '../postgres/sql-text.ts'
import { RELATION_KINDS } from './definitions/relations.ts'
import { ROUTINE_NAME } from './definitions/routines-and-types.ts'
import { MENTIONED_STAMP_SQL, rowVersion } from './stamp.ts'

/** An object of any schema, with a number that changes whenever its definition or that of a part does. */
export interface ObjectStamp {
  /** `mentioned` is one number for all that has no definition of its own, but is mentioned in others'. */
  readonly kind: 'relation' | 'routine' | 'type' | 'mentioned'
  readonly oid: number
  /** As in its definition. */
  readonly name: string
  readonly stamp: string
}

/** The rows that describe a relation and its parts, and the column that says which one. */
const RELATION_ROWS: readonly (readonly [
  catalogue: string,
  relation: string,
  condition?: string,
])[] = [
  ['pg_class', 'oid'],
  ['pg_attribute', 'attrelid', 'attnum > 0'],
  ['pg_constraint', 'conrelid'],
  ['pg_index', 'indrelid'],
  ['pg_trigger', 'tgrelid'],
  ['pg_rewrite', 'ev_class'],
  ['pg_policy', 'polrelid'],
  ['pg_sequence', 'seqrelid'],
  ['pg_inherits', 'inhrelid'],
  ['pg_foreign_table', 'ftrelid'],
]

const relationRows = RELATION_ROWS.map(
  ([catalogue, relation, condition]) => sql`
    select ${relation}, ${rowVersion()}
      from ${catalogue}
     where ${relation} >= 16384
       ${condition === undefined ? '' : `and ${condition}`}`,
).join('\nunion all\n')

/** Selects the ObjectStamp of every routine that users made. */
export const ROUTINE_STAMPS_SQL = sql`
  select 'routine' as kind, pg_proc.oid, quote_ident(nspname) || '.' || ${ROUTINE_NAME} as name,
         ${rowVersion('pg_proc')}::text as stamp
    from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace
   where pg_proc.oid >= 16384`

/** Selects the ObjectStamp of every relation and type that users made, and of what is mentioned. */
export const OTHER_STAMPS_SQL = sql`
  select 'relation' as kind, pg_class.oid, format('%I.%I', nspname, relname) as name, stamp::text
    from (select oid, sum(version) as stamp
            from (
              ${relationRows}
              union all
              select indrelid, ${rowVersion('pg_class')}
                from pg_index
                join pg_class on pg_class.oid = indexrelid
               where indexrelid >= 16384
            ) as part (oid, version)
           group by oid) as stamped
    join pg_class on pg_class.oid = stamped.oid
    join pg_namespace on pg_namespace.oid = relnamespace
   where relkind in ${RELATION_KINDS}
     and relpersistence <> 't'
  union all
  -- The types of tables and arrays come, go and are renamed with what they are the types of.
  select 'type', pg_type.oid, format('%I.%I', nspname, typname), concat_ws(
           ' ', ${rowVersion('pg_type')},
           (select sum(${rowVersion()}) from pg_enum where enumtypid = pg_type.oid),
           (select sum(${rowVersion()}) from pg_constraint where contypid = pg_type.oid))
    from pg_type
    join pg_namespace on pg_namespace.oid = typnamespace
   where pg_type.oid >= 16384
     and typtype <> 'c'
     and typcategory <> 'A'
  union all
  select 'mentioned', 0, '', (${MENTIONED_STAMP_SQL})::text`

/**
 * Selects the ObjectStamp of all of these. What is not among them (statistics, default privileges, publications,
 * queues) is quick to read.
 */
export const OBJECT_STAMPS_SQL = sql`
  ${OTHER_STAMPS_SQL}
  union all
  ${ROUTINE_STAMPS_SQL}`

/**
 * Selects the kind and oid of objects whose definitions may mention one of these relations, or a column of it.
 * `relations` is an expression: their oids, as text[].
 */
export function dependentsSql(relations: string): string {
  return sql`
    select distinct
           case when pg_depend.classid = 'pg_proc'::regclass then 'routine' else 'relation' end as kind,
           coalesce(conrelid, adrelid, tgrelid, ev_class, polrelid, indrelid, objid) as oid
      from pg_depend
      left join pg_constraint on classid = 'pg_constraint'::regclass and pg_constraint.oid = objid
      left join pg_attrdef on classid = 'pg_attrdef'::regclass and pg_attrdef.oid = objid
      left join pg_trigger on classid = 'pg_trigger'::regclass and pg_trigger.oid = objid
      left join pg_rewrite on classid = 'pg_rewrite'::regclass and pg_rewrite.oid = objid
      left join pg_policy on classid = 'pg_policy'::regclass and pg_policy.oid = objid
      left join pg_index on classid = 'pg_class'::regclass and indexrelid = objid
     where refclassid = 'pg_class'::regclass
       and refobjid = any (${relations}::oid[])`
}
