import type { Client } from 'pg'
import { hasPgmq } from '../catalog/queues.ts'
import { isUserSchema, NO_OTHER_SCHEMAS, notCompared, type OtherSchemas } from '../catalog/scope.ts'
import { isInsufficientPrivilege, sqlstateOf } from '../postgres/errors.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import { listCatalogued } from './catalogued.ts'
import { notOwnerError } from './errors.ts'
import { othersCtes } from './other-schemas.ts'

export interface Drop {
  /** Kind and name, for an error message. */
  readonly object: string
  readonly statement: string
}

/** Drops the objects in their order; an error names what the role may not drop. */
export async function dropObjects(client: Client, drops: readonly Drop[]): Promise<void> {
  for (const { object, statement } of drops) {
    try {
      await client.query(statement)
    } catch (error) {
      // A subscription with a slot cannot be dropped in a transaction. Without dropping the slot, its
      // publisher would keep its log for ever.
      const isSubscription = sqlstateOf(error) === SQLSTATE.activeSqlTransaction
      if (isInsufficientPrivilege(error) || isSubscription) throw notOwnerError([object])
      throw error
    }
  }
}

/**
 * Drops the queues with their archives, also those that PGMQ's list has lost. Called after all objects that
 * may depend on them are dropped. PGMQ stays, however it was installed: a plain owner could not install it.
 */
export async function dropQueues(client: Client): Promise<void> {
  if (!(await hasPgmq(client))) return
  const { rows } = await client.query<{ name: string; hasNoTable: boolean }>(
    `select name, to_regclass(format('pgmq.%I', lower('q_' || name))) is null as "hasNoTable"
       from (select queue_name::text from pgmq.meta
              union
             select substr(relname, 3) from pg_class
              where relnamespace = 'pgmq'::regnamespace and relkind in ('r', 'p')
                and not relispartition and relname ~ '^[aq]_') as queue (name)`,
  )
  for (const { name, hasNoTable } of rows) {
    // PGMQ drops an archive only with its queue, and a new queue of that name would get the old archive.
    if (hasNoTable) await client.query('select pgmq.create($1)', [name])
    await client.query('select pgmq.drop_queue($1)', [name])
  }
  await client.query('delete from pgmq.meta')
}

export interface ListOptions {
  /** Lists what is in the user's schemas instead of the schemas, for dropping it in several transactions. */
  readonly inSchemas?: boolean
  /** Schemas that stay as they are, with the event triggers, casts and the like that need them. */
  readonly others?: OtherSchemas
}

/**
 * Lists how to drop everything except what PostgreSQL, the service or an extension owns. Builds each
 * statement from PostgreSQL's own description of the object (pg_identify_object), so that no kind is
 * forgotten. Every drop cascades, so a later statement may find its object gone. Objects that an extension
 * needs are kept, since dropping them would drop the extension.
 */
export async function listDrops(
  client: Client,
  { inSchemas = false, others = NO_OTHER_SCHEMAS }: ListOptions = {},
): Promise<Drop[]> {
  const { rows } = await client.query<Drop>(
    `with recursive needs (classid, objid, refclassid, refobjid) as (
       select classid, objid, refclassid, refobjid from pg_depend
       union all
       -- Members, and what an object consists of.
       select refclassid, refobjid, classid, objid from pg_depend where deptype in ('e', 'i')),
     kept (classid, objid) as (
       select 'pg_extension'::regclass::oid, oid from pg_extension
       union all
       select 'pg_namespace'::regclass, oid from pg_namespace where nspname = 'public'
       union
       select refclassid, refobjid from kept join needs using (classid, objid)),
     ${othersCtes(await listCatalogued(client), others)},
     own_schema (name) as (
       select quote_ident(nspname) from pg_namespace
        where ${isUserSchema('nspname', notCompared(others))}
          and not (nspname = 'pgmq' and to_regclass('pgmq.meta') is not null
                   and not exists (select from pg_extension where extname = 'pgmq'))),
     object as (
       select type, identity, name, coalesce(schema, case type when 'schema' then identity end) as place
         from (${await listCatalogued(client)}) as found (classid, objid)
        cross join pg_identify_object(classid, objid, 0)
        where not exists (select from kept where (kept.classid, kept.objid) = (found.classid, found.objid))
          and (found.classid, found.objid) not in (select classid, objid from of_others)
          -- A part is dropped with its whole. A partitioned table depends on its own key, which is its part.
          -- An operator class is no part of its family, though the catalogue says so.
          and not exists (select from pg_depend
                           where (pg_depend.classid, pg_depend.objid) = (found.classid, found.objid)
                             and deptype in ('a', 'i', 'P', 'S')
                             and (refclassid, refobjid) <> (found.classid, found.objid)
                             and refclassid <> 'pg_opfamily'::regclass)
          -- Null if the object, another session's temporary one, was dropped in the meantime.
          and type is not null)
     select concat_ws(' ', type, identity) as object,
            case type
              when 'large object' then format('select lo_unlink(%s)', identity)
              -- PostgreSQL describes it with "on language", which is a syntax error.
              when 'transform' then format('drop transform if exists %s cascade',
                                           replace(identity, ' on language ', ' language '))
              else format('drop %s if exists %s cascade',
                          case type
                            when 'statistics object' then 'statistics'
                            when 'foreign-data wrapper' then 'foreign data wrapper'
                            -- DROP AGGREGATE has a syntax of its own for one without arguments.
                            when 'aggregate' then 'routine'
                            else type
                          end, identity)
            end as statement
       from object
      where (place is null or place in (select name from own_schema))
        and ${
          inSchemas
            ? `type <> 'schema'`
            : `(type = 'schema' or place is null
             or place not in (select identity from object where type = 'schema'))`
        }
        -- Queues are dropped by PGMQ, in dropQueues.
        and not (type = 'table' and place = quote_ident('pgmq') and name ~ '^"?[aq]_'
                 and to_regclass('pgmq.meta') is not null)
      -- Event triggers and subscriptions can prevent other drops. The arguments of one procedure can equal
      -- those of another with its results added, and the shorter list is unambiguous.
      order by array_position('{event trigger,subscription,schema}', type), length(identity), identity`,
  )
  return rows
}
