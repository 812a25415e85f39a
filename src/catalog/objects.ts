import { sql } from '../postgres/sql-text.ts'
import { isExtensionMember, isUserSchema, relationCte } from './scope.ts'

export interface ObjectsOptions {
  /** Schemas whose objects are left out. */
  readonly leftOut?: readonly string[]
  /** An expression of the type oid[]: partitions that are left out, with everything that comes with them. */
  readonly partitionsLeftOut?: string
}

/**
 * Selects every object of the user's with its definition as text: kind, name, definition. What a
 * definition leaves out is not compared: privileges, comments, storage parameters of columns.
 */
export function objectsSql(
  hasPgmq: boolean,
  { leftOut = [], partitionsLeftOut }: ObjectsOptions = {},
): string {
  const where = partitionsLeftOut === undefined ? '' : isNoPartOf(partitionsLeftOut)
  return sql`
    with ${relationCte({ leftOut, where })}
    select 'schema' as kind,
           quote_ident(nspname) as name,
           nspowner::regrole::text as definition
      from pg_namespace
     where ${isUserSchema('nspname', leftOut)}
       and not ${isExtensionMember('pg_namespace', 'pg_namespace.oid')}
    union all
    select 'extension', quote_ident(extname), ''
      from pg_extension
    union all
    select case relkind when 'S' then 'sequence' when 'v' then 'view' when 'c' then 'type'
                        when 'm' then 'materialized view' else 'table'
           end,
           name,
           concat_ws(
             ' ',
             relkind, relowner::regrole, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
             reloptions::text,
             pg_get_expr(relpartbound, oid),
             case when relkind = 'p' then pg_get_partkeydef(oid) end,
             case when relkind in ('v', 'm') then pg_get_viewdef(oid) end,
             (select array_agg(inhparent::regclass order by inhseqno)
                from pg_inherits
               where inhrelid = relation.oid)::text,
             (select array_agg(attname order by attnum)
                from pg_attribute
               where attrelid = relation.oid and attnum > 0 and not attisdropped and relkind <> 'S')::text,
             (select row(format_type(seqtypid, null), seqstart, seqincrement, seqmax, seqmin,
                         seqcache, seqcycle)::text
                from pg_sequence
               where seqrelid = relation.oid),
             (select string_agg(refobjid::regclass || '.' || refobjsubid, ' ')
                from pg_depend
               where classid = 'pg_class'::regclass and objid = relation.oid and relkind = 'S'
                 and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')))
      from relation
    union all
    select 'column',
           name || '.' || quote_ident(attname),
           concat_ws(
             ' ',
             format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
             attcollation::regcollation,
             pg_get_expr(adbin, adrelid))
      from relation
      join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
     where relkind <> 'S'
    union all
    select 'constraint',
           name || '.' || quote_ident(conname),
           concat_ws(
             ' ',
             pg_get_constraintdef(pg_constraint.oid),
             convalidated,
             -- A foreign key is kept by triggers of its own, which a superuser can switch off.
             (select string_agg(tgenabled::text, '' order by tgrelid, tgtype)
                from pg_trigger
               where tgconstraint = pg_constraint.oid and tgparentid = 0))
      from relation
      join pg_constraint on conrelid = relation.oid
       ${partitionsLeftOut === undefined ? '' : `and confrelid <> all (${partitionsLeftOut})`}
    union all
    select 'index',
           indexrelid::regclass::text,
           pg_get_indexdef(indexrelid) || ' ' || indisvalid
      from relation
      join pg_index on indrelid = relation.oid
    union all
    select 'trigger',
           name || '.' || quote_ident(tgname),
           pg_get_triggerdef(pg_trigger.oid) || ' ' || tgenabled::text
      from relation
      join pg_trigger on tgrelid = relation.oid and not tgisinternal
    union all
    select 'rule',
           name || '.' || quote_ident(rulename),
           pg_get_ruledef(pg_rewrite.oid) || ' ' || ev_enabled::text
      from relation
      join pg_rewrite on ev_class = relation.oid and rulename <> '_RETURN'
    union all
    select 'policy',
           name || '.' || quote_ident(polname),
           concat_ws(
             ' ',
             polcmd, polpermissive, polroles::regrole[]::text,
             pg_get_expr(polqual, polrelid),
             pg_get_expr(polwithcheck, polrelid))
      from relation
      join pg_policy on polrelid = relation.oid
    union all
    select case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
           pg_proc.oid::regprocedure::text,
           case when prokind = 'a'
                then (select row(aggtransfn, aggfinalfn, aggcombinefn, agginitval)::text
                        from pg_aggregate
                       where aggfnoid = pg_proc.oid)
                else pg_get_functiondef(pg_proc.oid)
           end || ' ' || proowner::regrole
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
     where ${isUserSchema('nspname', leftOut)}
       and not ${isExtensionMember('pg_proc', 'pg_proc.oid')}
    union all
    select 'type',
           pg_type.oid::regtype::text,
           concat_ws(
             ' ',
             typtype, typowner::regrole, format_type(nullif(typbasetype, 0), typtypmod), typnotnull,
             typdefault,
             (select array_agg(enumlabel order by enumsortorder)
                from pg_enum
               where enumtypid = pg_type.oid)::text,
             (select string_agg(pg_get_constraintdef(oid), ' ' order by conname)
                from pg_constraint
               where contypid = pg_type.oid),
             (select rngsubtype::regtype::text
                from pg_range
               where rngtypid = pg_type.oid))
      from pg_type
      join pg_namespace on pg_namespace.oid = typnamespace
     where ${isUserSchema('nspname', leftOut)}
       and typtype in ('d', 'e', 'r')
       and not ${isExtensionMember('pg_type', 'pg_type.oid')}
    ${hasPgmq ? QUEUES_SQL : ''}`
}

/** A condition on pg_class: none of these partitions, nor a sequence of one. */
function isNoPartOf(partitions: string): string {
  return sql`
    pg_class.oid <> all (${partitions})
    and not (relkind = 'S' and exists (
               select from pg_depend
                where classid = 'pg_class'::regclass and objid = pg_class.oid
                  and refclassid = 'pg_class'::regclass and refobjid = any (${partitions})
                  and deptype in ('a', 'i')))`
}

const QUEUES_SQL = sql`
  union all
  select 'queue', queue_name, ''
    from pgmq.meta`
