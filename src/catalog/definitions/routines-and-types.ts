import { sql } from '../../postgres/sql-text.ts'
import { isExtensionMember } from '../scope.ts'
import { type Chosen, isAmong } from './among.ts'

/** The name of a routine in its schema. */
export const ROUTINE_NAME = `quote_ident(proname) || '(' || oidvectortypes(proargtypes) || ')'`

const TYPE_NAME = `chosen_schema.name || '.' || quote_ident(typname)`

/**
 * Functions, procedures, aggregates; domains, enums, ranges, base types; those of them that are in `objects`,
 * if it is given. Composite types are relations.
 */
export const routinesAndTypes = (objects?: Chosen) => sql`
  select case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
         chosen_schema.name || '.' || ${ROUTINE_NAME},
         chosen_schema.name, chosen_schema.name, proowner, coalesce(proacl, acldefault('f', proowner)),
         case when prokind = 'a'
              then (select jsonb_build_object(
                             'definition',
                             format('%s(%s) sfunc %s stype %s finalfunc %s combinefunc %s initcond %s', aggkind,
                                    pg_get_function_arguments(pg_proc.oid), aggtransfn,
                                    aggtranstype::regtype, aggfinalfn, aggcombinefn, agginitval),
                             'settings', array_to_string(proconfig, ', '))
                      from pg_aggregate
                     where aggfnoid = pg_proc.oid)
              else jsonb_build_object('definition', pg_get_functiondef(pg_proc.oid))
         end,
         'pg_proc'::regclass, pg_proc.oid, 0
    from chosen_schema
    join pg_proc on pronamespace = chosen_schema.oid
   -- The constructors of a range type are parts of it.
   where not exists (select from pg_depend
                      where pg_depend.classid = 'pg_proc'::regclass
                        and pg_depend.objid = pg_proc.oid
                        and deptype in ('e', 'i'))
     ${objects === undefined ? '' : `and ${isAmong(objects, { qualified: `chosen_schema.name || '.' || ${ROUTINE_NAME}`, own: 'proname' })}`}
  union all
  select 'type', ${TYPE_NAME}, chosen_schema.name, chosen_schema.name, typowner,
         coalesce(typacl, acldefault('T', typowner)),
         jsonb_build_object(
           'definition',
           case typtype when 'd' then 'domain over ' || format_type(typbasetype, typtypmod)
                        when 'e' then 'enum'
                        when 'r' then (select format('range of %s by %s', rngsubtype::regtype, opcname)
                                         from pg_range
                                         join pg_opclass on pg_opclass.oid = rngsubopc
                                        where rngtypid = pg_type.oid)
                        else format('base type: input %s output %s length %s', typinput, typoutput, typlen)
           end,
           'not null', case when typnotnull then 'yes' end,
           'default', typdefault,
           'collation', case when typtype = 'd' then nullif(typcollation, 0)::regcollation::text end,
           'labels', (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
                        from pg_enum
                       where enumtypid = pg_type.oid),
           'constraints', (select string_agg(quote_ident(conname) || ' ' || pg_get_constraintdef(oid), '; '
                                             order by conname)
                             from pg_constraint
                            where contypid = pg_type.oid and contype <> 'n')),
         'pg_type'::regclass, pg_type.oid, 0
    from chosen_schema
    join pg_type on typnamespace = chosen_schema.oid
   where (typtype in ('d', 'e', 'r') or typtype = 'b' and typcategory <> 'A')
     and not ${isExtensionMember('pg_type', 'pg_type.oid')}
     ${objects === undefined ? '' : `and ${isAmong(objects, { qualified: TYPE_NAME, own: 'typname' })}`}`
