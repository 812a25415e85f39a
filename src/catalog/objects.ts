import type { Queryable } from '../postgres/client.ts'

/** One object that is not as the migrations made it. */
export interface SchemaDifference {
  readonly change: 'added' | 'changed' | 'taken away'
  readonly kind: string
  readonly name: string
}

/**
 * A number over the versions of rows: where they lie and which transaction wrote them. While no row
 * was inserted, updated or deleted it stays the same; it can change without need (a row rewritten),
 * never the other way round. Ages are counted from xid 3, since xid has no arithmetic of its own.
 */
export function rowsSignSql(source: string): string {
  return `select coalesce(sum(hashtidextended(ctid,
                 (select age('3'::xid)::bigint) - age(xmin))), 0)
            from ${source}`
}

const sumOfSigns = (sources: readonly string[]) => `select sum(sign) from (
${sources.map((source) => `(${rowsSignSql(source)})`).join(' union all\n')}
) as signs (sign)`

/**
 * The cheap sign that no object was made, renamed, altered or taken away, but for what is part of a
 * relation. Every change of an object writes a row of these; VACUUM and ANALYZE update in place.
 */
export const OBJECTS_SIGN_SQL = sumOfSigns([
  // Of every kind, indexes too.
  `pg_class where oid >= 16384 and relpersistence <> 't'`,
  'pg_sequence',
  'pg_enum where oid >= 16384',
  // Rows of tables and arrays come and go with pg_class; leave out what other sessions keep aside.
  `pg_type where oid >= 16384 and typtype in ('d', 'e', 'r')`,
  'pg_constraint where contypid >= 16384',
  `pg_proc where oid >= 16384
      and pronamespace <> all (
            array(select oid from pg_namespace where starts_with(nspname, 'pg_temp_')))`,
  // Schema public has been there from the first.
  `pg_namespace where not starts_with(nspname, 'pg_')`,
  'pg_extension',
])

/** The same for the parts of relations. A default writes pg_attribute, too, and an index pg_class. */
export const PARTS_SIGN_SQL = sumOfSigns([
  'pg_attribute where attrelid >= 16384 and attnum > 0',
  'pg_constraint where conrelid >= 16384',
  'pg_trigger where oid >= 16384',
  'pg_rewrite where oid >= 16384',
  'pg_policy',
])

const USER_SCHEMA = `nspname !~ '^pg_'
             and nspname not in ('information_schema', 'provisioning', 'graphile_migrate')`

const isMember = (catalog: string, oid: string) =>
  `exists (select from pg_depend
            where classid = '${catalog}'::regclass and objid = ${oid} and deptype = 'e')`

/** Of a composite type it is the type that is a member, not the relation behind it. */
const IS_MEMBER_RELATION = `(${isMember('pg_class', 'c.oid')}
            or relkind = 'c' and ${isMember('pg_type', 'c.reltype')})`

/**
 * The relations that the migrations made: neither an extension's, except for PGMQ's queues, nor a
 * partition of a queue (those come and go by themselves).
 */
export const RELATIONS_SQL = `
  relation as materialized (
    select c.*, n.nspname, format('%I.%I', nspname, relname) as name
      from pg_class as c
      join pg_namespace as n on n.oid = relnamespace
     where ${USER_SCHEMA}
       and relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
       and relpersistence <> 't'
       and (nspname = 'pgmq' and relkind in ('r', 'p', 'S') or not ${IS_MEMBER_RELATION})
       and not (nspname = 'pgmq' and relispartition))`

const objectsSql = (hasQueues: boolean) => `
with ${RELATIONS_SQL},
object (kind, name, definition) as (
  select 'schema', quote_ident(nspname), nspowner::regrole::text
    from pg_namespace
   where ${USER_SCHEMA} and not ${isMember('pg_namespace', 'pg_namespace.oid')}
  union all
  select 'extension', quote_ident(extname), '' from pg_extension
  union all
  select case relkind when 'S' then 'sequence' when 'v' then 'view' when 'c' then 'type'
              when 'm' then 'materialised view' else 'table' end,
         name,
         concat_ws(' ', relkind, relowner::regrole, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
           reloptions::text, pg_get_expr(relpartbound, oid),
           case when relkind = 'p' then pg_get_partkeydef(oid) end,
           case when relkind in ('v', 'm') then pg_get_viewdef(oid) end,
           (select array_agg(inhparent::regclass order by inhseqno) from pg_inherits
             where inhrelid = relation.oid)::text,
           (select array_agg(attname order by attnum) from pg_attribute
             where attrelid = relation.oid and attnum > 0 and not attisdropped
               and relkind <> 'S')::text,
           (select row(format_type(seqtypid, null), seqstart, seqincrement, seqmax, seqmin,
                       seqcache, seqcycle)::text
              from pg_sequence where seqrelid = relation.oid),
           (select string_agg(refobjid::regclass || '.' || refobjsubid, ' ') from pg_depend
             where classid = 'pg_class'::regclass and objid = relation.oid and relkind = 'S'
               and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')))
    from relation
  union all
  select 'column', name || '.' || quote_ident(attname),
         concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
           attcollation::regcollation, pg_get_expr(adbin, adrelid))
    from relation
    join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
   where relkind <> 'S'
  union all
  select 'constraint', name || '.' || quote_ident(conname),
         -- A foreign key is kept by triggers of its own, which a superuser can switch off.
         concat_ws(' ', pg_get_constraintdef(pg_constraint.oid), convalidated,
           (select string_agg(tgenabled::text, '' order by tgrelid, tgtype) from pg_trigger
             where tgconstraint = pg_constraint.oid and tgparentid = 0))
    from relation join pg_constraint on conrelid = relation.oid
  union all
  select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) || ' ' || indisvalid
    from relation join pg_index on indrelid = relation.oid
  union all
  select 'trigger', name || '.' || quote_ident(tgname),
         pg_get_triggerdef(pg_trigger.oid) || ' ' || tgenabled::text
    from relation join pg_trigger on tgrelid = relation.oid and not tgisinternal
  union all
  select 'rule', name || '.' || quote_ident(rulename),
         pg_get_ruledef(pg_rewrite.oid) || ' ' || ev_enabled::text
    from relation join pg_rewrite on ev_class = relation.oid and rulename <> '_RETURN'
  union all
  select 'policy', name || '.' || quote_ident(polname),
         concat_ws(' ', polcmd, polpermissive, polroles::regrole[]::text,
           pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from relation join pg_policy on polrelid = relation.oid
  union all
  select case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
         pg_proc.oid::regprocedure::text,
         case when prokind = 'a'
              then (select row(aggtransfn, aggfinalfn, aggcombinefn, agginitval)::text
                      from pg_aggregate where aggfnoid = pg_proc.oid)
              else pg_get_functiondef(pg_proc.oid) end || ' ' || proowner::regrole
    from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
   where ${USER_SCHEMA} and not ${isMember('pg_proc', 'pg_proc.oid')}
  union all
  select 'type', pg_type.oid::regtype::text,
         concat_ws(' ', typtype, typowner::regrole, format_type(nullif(typbasetype, 0), typtypmod), typnotnull,
           typdefault,
           (select array_agg(enumlabel order by enumsortorder) from pg_enum
             where enumtypid = pg_type.oid)::text,
           (select string_agg(pg_get_constraintdef(oid), ' ' order by conname) from pg_constraint
             where contypid = pg_type.oid),
           (select rngsubtype::regtype::text from pg_range where rngtypid = pg_type.oid))
    from pg_type join pg_namespace on pg_namespace.oid = typnamespace
   where ${USER_SCHEMA} and typtype in ('d', 'e', 'r')
     and not ${isMember('pg_type', 'pg_type.oid')}
  ${hasQueues ? QUEUES_SQL : ''}
)`

/** A queue is there while its table is: PGMQ's list of queues is data, and put back as such. */
const QUEUES_SQL = `union all (
  select 'queue', queue_name, '' from pgmq.meta
  union
  select 'queue', name, '' from provisioning.baseline_object
   where kind = 'queue' and to_regclass(format('pgmq.%I', lower('q_' || name))) is not null)`

/** Records every object as it is now. */
export async function captureObjects(client: Queryable, hasQueues: boolean): Promise<void> {
  await client.query(
    `${objectsSql(hasQueues)}
     insert into provisioning.baseline_object (kind, name, definition)
     select kind, name, definition from object`,
  )
}

/** Every object that differs from the baseline's definition of it. */
export function differencesSql(hasQueues: boolean): string {
  return `${objectsSql(hasQueues)}
     select case when baseline.name is null then 'added'
                 when object.name is null then 'taken away'
                 else 'changed' end as change,
            kind, name
       from object
       full join provisioning.baseline_object as baseline using (kind, name)
      where object.definition is distinct from baseline.definition
      order by name, kind`
}
