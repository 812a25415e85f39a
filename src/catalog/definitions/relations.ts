import { sql } from '../../postgres/sql-text.ts'
import { isExtensionMember } from '../scope.ts'
import { type Chosen, isAmong } from './among.ts'

/** Tables, views, sequences and composite types; in `relkind in …`. */
export const RELATION_KINDS = "('r', 'p', 'v', 'm', 'S', 'f', 'c')"

const RELATION_NAME = {
  qualified: `chosen_schema.name || '.' || quote_ident(relname)`,
  own: 'relname',
}

/**
 * A common table expression: the relations of the chosen schemas, or those of them that are in `objects`.
 */
export const relationCte = (objects?: Chosen) => sql`
  relation as materialized (
    select pg_class.oid, relkind, relowner, relacl, reloptions, reltype, reloftype, relam, reltablespace, relpersistence,
           relispartition, relpartbound, relrowsecurity, relforcerowsecurity, relreplident,
           chosen_schema.name as schema_name,
           ${RELATION_NAME.qualified} as name
      from chosen_schema
      join pg_class on relnamespace = chosen_schema.oid
     where relkind in ${RELATION_KINDS}
       and relpersistence <> 't'
       ${objects === undefined ? '' : `and ${isAmong(objects, RELATION_NAME)}`}
       and not ${isExtensionMember('pg_class', 'pg_class.oid')}
       -- Of a composite type, the type is the member and not the relation behind it.
       and not (relkind = 'c' and ${isExtensionMember('pg_type', 'reltype')}))`

/** The relations themselves. */
export const RELATIONS = sql`
  select case relkind when 'v' then 'view'
                      when 'm' then 'materialized view'
                      when 'f' then 'foreign table'
                      else case when relispartition then 'partition' else 'table' end
         end,
         name, schema_name, schema_name, relowner, relacl,
         jsonb_build_object(
           'definition',
           case when relkind in ('v', 'm') then ltrim(pg_get_viewdef(oid))
                else nullif(concat_ws(
                  ' ',
                  case when relpersistence = 'u' then 'unlogged' end,
                  'of ' || nullif(reloftype, 0)::regtype,
                  case when relkind = 'p' then 'partition by ' || pg_get_partkeydef(oid) end,
                  case when relispartition then pg_get_expr(relpartbound, oid) end,
                  'inherits ' || parents,
                  'using ' || nullif(amname, 'heap'),
                  'tablespace ' || spcname,
                  'server ' || srvname || ' ' || ftoptions::text), '')
           end,
           'options', array_to_string(reloptions, ', '),
           'row security', case when relrowsecurity then 'enabled' end
                             || case when relforcerowsecurity then ', forced' else '' end,
           'replica identity', case relreplident when 'n' then 'nothing'
                                                 when 'f' then 'full'
                                                 when 'i' then 'index'
                               end,
           'columns', case when not relispartition then
             (select string_agg(quote_ident(attname), ', ' order by attnum)
                from pg_attribute
               where attrelid = relation.oid and attnum > 0 and not attisdropped)
           end),
         'pg_class'::regclass, oid, 0
    from relation
    left join (select inhrelid, string_agg(inhparent::regclass::text, ', ' order by inhseqno) as parents
                 from pg_inherits
                group by inhrelid) as inheritance
      on inhrelid = oid
    left join (select oid as am_oid, amname from pg_am) as access_method on am_oid = relam
    left join (select oid as space_oid, spcname from pg_tablespace) as space on space_oid = reltablespace
    left join (select ftrelid, srvname, ftoptions
                 from pg_foreign_table
                 join pg_foreign_server on pg_foreign_server.oid = ftserver) as foreign_table
      on ftrelid = oid
   where relkind not in ('S', 'c')
  union all
  select 'sequence', name, schema_name, schema_name, relowner, relacl,
         jsonb_build_object(
           'definition',
           format('%s start %s increment %s minimum %s maximum %s cache %s', format_type(seqtypid, null),
                  seqstart, seqincrement, seqmin, seqmax, seqcache)
             || case when seqcycle then ' cycle' else '' end
             || case when relpersistence = 'u' then ' unlogged' else '' end,
           'owned by',
           (select refobjid::regclass || '.' || quote_ident(attname)
              from pg_depend
              join pg_attribute on attrelid = refobjid and attnum = refobjsubid
             where classid = 'pg_class'::regclass
               and objid = relation.oid
               and refclassid = 'pg_class'::regclass
               and deptype in ('a', 'i'))),
         'pg_class'::regclass, oid, 0
    from relation
    join pg_sequence on seqrelid = oid
  union all
  select 'type', name, schema_name, schema_name, relowner, coalesce(typacl, acldefault('T', relowner)),
         jsonb_build_object(
           'definition', 'composite',
           'columns', (select string_agg(quote_ident(attname), ', ' order by attnum)
                         from pg_attribute
                        where attrelid = relation.oid and attnum > 0 and not attisdropped)),
         'pg_class'::regclass, relation.oid, 0
    from relation
    join pg_type on pg_type.oid = reltype
   where relkind = 'c'`
