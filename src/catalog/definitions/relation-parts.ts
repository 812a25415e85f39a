import { sql } from '../../postgres/sql-text.ts'

const INDEX_STATE = sql`
  case when not indisvalid then 'invalid' end,
  case when indisreplident then 'replica identity' end`

const firingSql = (enabled: string) =>
  `case ${enabled} when 'D' then ' disabled' when 'R' then ' enabled replica' when 'A' then ' enabled always' else '' end`

/** What belongs to a relation: columns, constraints, indexes, triggers, rules, policies. */
export const RELATION_PARTS = sql`
  select 'column', name || '.' || quote_ident(attname), schema_name, name, null::oid, attacl,
         jsonb_build_object('definition', concat_ws(
           ' ',
           format_type(atttypid, atttypmod),
           case when attcollation <> typcollation then 'collate ' || nullif(attcollation, 0)::regcollation end,
           case when attnotnull then 'not null' end,
           case when attgenerated <> ''
                then format('generated always as (%s) %s', pg_get_expr(adbin, adrelid),
                            case attgenerated when 'v' then 'virtual' else 'stored' end)
                when atthasdef then 'default ' || pg_get_expr(adbin, adrelid)
                when attidentity <> ''
                then format('generated %s as identity', case attidentity when 'a' then 'always' else 'by default' end)
           end,
           case when attstorage <> typstorage then 'storage ' || attstorage::text end,
           case when attcompression <> '' then 'compression ' || attcompression::text end,
           case when attstattarget > 0 then 'statistics ' || attstattarget end,
           -- Debian's PostgreSQL 17.12 keeps a number there, another one whenever the column is made again.
           case when attoptions is not null
                then 'options ' || nullif(array(select option from unnest(attoptions) as option
                                                 where option not like 'pg\\_attver=%')::text, '{}')
           end,
           case when attfdwoptions is not null then 'options ' || attfdwoptions::text end)),
         'pg_class'::regclass, attrelid, attnum
    from relation
    join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped
    join pg_type on pg_type.oid = atttypid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum and atthasdef
   where relkind <> 'S'
     and attislocal
  union all
  -- Not null is a column's. What a partition or a child inherits is its parent's.
  select 'constraint', name || '.' || quote_ident(conname), schema_name, name, null::oid, null::aclitem[],
         jsonb_build_object('definition', concat_ws(
           ' ', pg_get_constraintdef(pg_constraint.oid), ${INDEX_STATE}, 'with triggers ' || triggers)),
         'pg_constraint'::regclass, pg_constraint.oid, 0
    from relation
    join pg_constraint on conrelid = relation.oid
    left join pg_index on contype in ('p', 'u', 'x') and indexrelid = conindid
    -- A foreign key is kept by triggers of its own, which a superuser can switch off.
    left join (select tgconstraint, string_agg(tgenabled::text, '' order by tgtype) as triggers
                 from pg_trigger
                where tgconstraint <> 0 and tgenabled <> 'O' and tgisinternal and tgparentid = 0
                group by tgconstraint) as switched
      on tgconstraint = pg_constraint.oid
   where conparentid = 0
     and conislocal
     and contype not in ('n', 't')
  union all
  -- The index of a constraint is the constraint's.
  select 'index', schema_name || '.' || quote_ident(index.relname), schema_name, relation.name, null, null,
         jsonb_build_object('definition', concat_ws(
           ' ', pg_get_indexdef(indexrelid), ${INDEX_STATE},
           case when index.reltablespace <> 0
                then 'tablespace ' || (select spcname from pg_tablespace where oid = index.reltablespace)
           end)),
         'pg_class'::regclass, indexrelid, 0
    from relation
    join pg_index on indrelid = relation.oid
    join pg_class as index on index.oid = indexrelid
   where not index.relispartition
     -- What REINDEX CONCURRENTLY is building, or has left.
     and not (not indisvalid and index.relname ~ '_cc(new|old)\\d*$')
     and not exists (select from pg_constraint
                      where conrelid = indrelid and conindid = indexrelid and contype in ('p', 'u', 'x'))
  union all
  select 'trigger', name || '.' || quote_ident(tgname), schema_name, name, null, null,
         jsonb_build_object('definition', pg_get_triggerdef(pg_trigger.oid) || ${firingSql('tgenabled')}),
         'pg_trigger'::regclass, pg_trigger.oid, 0
    from relation
    join pg_trigger on tgrelid = relation.oid and not tgisinternal and tgparentid = 0
  union all
  select 'rule', name || '.' || quote_ident(rulename), schema_name, name, null, null,
         jsonb_build_object('definition', pg_get_ruledef(pg_rewrite.oid) || ${firingSql('ev_enabled')}),
         'pg_rewrite'::regclass, pg_rewrite.oid, 0
    from relation
    join pg_rewrite on ev_class = relation.oid and rulename <> '_RETURN'
  union all
  select 'policy', name || '.' || quote_ident(polname), schema_name, name, null, null,
         jsonb_build_object('definition', concat_ws(
           ' ',
           case when polpermissive then 'permissive' else 'restrictive' end,
           'for ' || case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                                 when 'd' then 'delete' else 'all' end,
           'to ' || (select string_agg(coalesce(nullif(role, 0)::regrole::text, 'PUBLIC'), ', ')
                       from unnest(polroles) as role),
           'using (' || pg_get_expr(polqual, polrelid) || ')',
           'with check (' || pg_get_expr(polwithcheck, polrelid) || ')')),
         'pg_policy'::regclass, pg_policy.oid, 0
    from relation
    join pg_policy on polrelid = relation.oid`
