import { sql } from '../../postgres/sql-text.ts'
import { USER_SCHEMAS } from '../scope.ts'
import type { Chosen } from './among.ts'
import { DATABASE_OBJECTS } from './database-objects.ts'
import { RELATION_PARTS } from './relation-parts.ts'
import { RELATIONS, relationCte } from './relations.ts'
import { routinesAndTypes } from './routines-and-types.ts'

/** One object, with everything that defines it. No part depends on an oid, on a row or on search_path. */
export interface Definition {
  /** Such as `table`, `column`, `function`, `default privileges`. */
  readonly kind: string
  /** Quoted and qualified; a part of a relation has the relation's name in front of its own. */
  readonly name: string
  /** The schema in which it is; null where it is in none. */
  readonly schema: string | null
  /** The object that holds this one: the schema of a relation, the relation of a column. */
  readonly parent: string | null
  /** What defines it, by aspect: `owner`, `privileges of alice`, `type`. What is absent is the default. */
  readonly aspects: Readonly<Record<string, string>>
}

export interface DefinitionsOptions {
  /** An expression: the schemas to read, as text[], quoted. Default: all of the user's, without PGMQ's. */
  readonly schemas?: string
  /**
   * An expression: the roles whose privileges count, as text[], quoted, and PUBLIC. Null, or by default: all.
   * Owners always count.
   */
  readonly roles?: string
  /** Relations, routines and types: only these are read, with their parts, and objects of ALWAYS_READ. Default: all. */
  readonly objects?: Chosen
}

/** Kinds that are few, and are not chosen by `objects`. */
export const ALWAYS_READ: readonly string[] = [
  ...['schema', 'default privileges', 'publication', 'statistics', 'queue'],
]

/**
 * Selects the definitions of all objects of the schemas, and of what has no schema: publications, default
 * privileges, PGMQ's queues. Extensions' objects are left out. The columns are kind, name, schema, parent,
 * aspects (jsonb), and the object's present address as classid, objid, objsubid, which tells a renamed
 * object from another one. Run it under the service's session settings. PostgreSQL's functions that write
 * definitions take AccessShare locks: give the transaction a lock_timeout, and end it soon.
 */
export function definitionsSql({ schemas, roles, objects }: DefinitionsOptions = {}): string {
  return sql`
    with chosen_schema as materialized (
      select oid, nspname, nspowner, nspacl, quote_ident(nspname) as name
        from pg_namespace
       where ${schemas === undefined ? USER_SCHEMAS : `quote_ident(nspname) = any (${schemas})`}
    ),
    ${relationCte(objects)},
    found as (
      ${[SCHEMAS, RELATIONS, RELATION_PARTS, routinesAndTypes(objects), DATABASE_OBJECTS].join('\nunion all\n')}
    )
    select kind,
           name,
           schema,
           parent,
           case when owner is null then aspects
                else jsonb_strip_nulls(
                  aspects || jsonb_build_object(
                    'owner', owner::regrole,
                    'owner''s privileges', case when acl is not null then ${OWNER_PRIVILEGES} end))
           end
             || case when acl is null then '{}'
                     else coalesce(${privilegesSql(roles)}, '{}')
                end as aspects,
           classid,
           objid,
           objsubid
      from found`
}

/**
 * Selects one number over the same definitions: equal where all of them are, on any server of the same
 * major version. Null where there is no object.
 */
export function definitionsFingerprintSql(options: DefinitionsOptions = {}): string {
  return sql`
    select sum(hashtextextended(kind || ' ' || name || ' ' || aspects, 0)) as fingerprint
      from (
        ${definitionsSql(options)}
      ) as definition`
}

/** The privileges in `acl`, as an aspect for each role but the owner. A star marks the right to grant. */
function privilegesSql(roles: string | undefined): string {
  return sql`
    (select jsonb_object_agg('privileges of ' || grantee, privileges)
       from (
         select coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'),
                string_agg(
                  lower(privilege_type) || case when is_grantable then '*' else '' end
                    || case when grantor <> owner then ' from ' || grantor::regrole else '' end,
                  ', ' order by privilege_type, grantor::regrole::text)
           from aclexplode(acl)
          where grantee is distinct from owner
          group by 1) as granted (grantee, privileges)
      where ${roles === undefined ? true : `(${roles} is null or grantee = any (${roles}))`})`
}

/** What the owner may do, where that is not all of it. */
const OWNER_PRIVILEGES = sql`
  (select nullif(coalesce(string_agg(held, ', ' order by held) filter (where not is_default), 'none'),
                 string_agg(held, ', ' order by held) filter (where is_default))
     from (
       select lower(privilege_type), false
         from aclexplode(acl)
        where grantee = owner
       union all
       select lower(privilege_type), true
         from aclexplode(acldefault(case kind when 'schema' then 'n'
                                              when 'sequence' then 's'
                                              when 'type' then 'T'
                                              when 'function' then 'f'
                                              when 'procedure' then 'f'
                                              when 'aggregate' then 'f'
                                              else 'r'
                                    end::"char", owner))
        where grantee = owner) as privilege (held, is_default))`

const SCHEMAS = sql`
  select 'schema' as kind, name, name as schema, null as parent, nspowner as owner, nspacl as acl,
         '{}'::jsonb as aspects,
         'pg_namespace'::regclass::oid as classid, oid as objid, 0 as objsubid
    from chosen_schema`
