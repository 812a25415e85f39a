import { sql } from '../../postgres/sql-text.ts'
import { isExtensionMember } from '../scope.ts'

/**
 * Statistics objects and default privileges of the chosen schemas, and what has no schema: publications,
 * default privileges for all schemas, and PGMQ's queues, of which only the existence counts.
 */
export const DATABASE_OBJECTS = sql`
  select 'default privileges',
         concat_ws(' ', 'of', defaclrole::regrole, 'on',
                   case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
                                      when 'f' then 'functions' when 'T' then 'types'
                                      when 'n' then 'schemas' else 'large objects' end,
                   'in ' || chosen_schema.name),
         chosen_schema.name, chosen_schema.name, null, defaclacl, '{}',
         'pg_default_acl'::regclass, pg_default_acl.oid, 0
    from pg_default_acl
    left join chosen_schema on chosen_schema.oid = defaclnamespace
   where chosen_schema.oid is not null
      or defaclnamespace = 0
  union all
  select 'publication', quote_ident(pubname), null, null, pubowner, null,
         jsonb_build_object(
           'operations', concat_ws(', ', case when pubinsert then 'insert' end,
                                   case when pubupdate then 'update' end,
                                   case when pubdelete then 'delete' end,
                                   case when pubtruncate then 'truncate' end),
           'via root', case when pubviaroot then 'yes' end,
           'tables', case when puballtables then 'all' else
             (select string_agg(
                       prrelid::regclass::text || coalesce(' where ' || pg_get_expr(prqual, prrelid), '')
                         || coalesce(' columns ' || prattrs::text, ''), ', ' order by prrelid::regclass::text)
                from pg_publication_rel
               where prpubid = pg_publication.oid)
           end,
           'schemas', (select string_agg(pnnspid::regnamespace::text, ', ' order by pnnspid::regnamespace::text)
                         from pg_publication_namespace
                        where pnpubid = pg_publication.oid)),
         'pg_publication'::regclass, oid, 0
    from pg_publication
  union all
  select 'statistics', chosen_schema.name || '.' || quote_ident(stxname), chosen_schema.name, chosen_schema.name,
         stxowner, null,
         jsonb_build_object('definition', pg_get_statisticsobjdef(pg_statistic_ext.oid)),
         'pg_statistic_ext'::regclass, pg_statistic_ext.oid, 0
    from chosen_schema
    join pg_statistic_ext on stxnamespace = chosen_schema.oid
   where not ${isExtensionMember('pg_statistic_ext', 'pg_statistic_ext.oid')}
  union all
  select 'queue', quote_ident(substr(relname, 3)), null, null, null, null, '{}',
         'pg_class'::regclass, oid, 0
    from pg_class
   where relnamespace = to_regnamespace('pgmq')
     and relkind in ('r', 'p')
     and not relispartition
     and relname like 'q\\_%'`
