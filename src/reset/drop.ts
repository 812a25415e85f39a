import type { Client } from 'pg'
import { hasPgmq } from '../catalog/queues.ts'
import { refuseForbidden } from './errors.ts'

interface Drop {
  /** Kind and name, as an operator would say it. */
  readonly object: string
  readonly statement: string
}

/** Drops all that is not a system's, the service's or an extension's; names what it may not drop. */
export async function dropObjects(client: Client): Promise<void> {
  for (const { object, statement } of await listDrops(client)) {
    try {
      await client.query(statement)
    } catch (error) {
      const { code } = error as { code?: string }
      // The latter: a subscription with a slot. Dropped without it, its publisher would keep log for ever.
      if (code === '42501' || code === '25001') throw refuseForbidden([object])
      throw error
    }
  }
}

/**
 * Drops the queues with their archives, also those that PGMQ's list has lost; after all that may depend on
 * them. PGMQ itself stays, however it was installed: a plain owner could not bring it back.
 */
export async function dropQueues(client: Client): Promise<void> {
  if (!(await hasPgmq(client))) return
  const { rows } = await client.query<{ name: string; isTorn: boolean }>(
    `select name, to_regclass(format('pgmq.%I', lower('q_' || name))) is null as "isTorn"
       from (select queue_name::text from pgmq.meta
              union
             select substr(relname, 3) from pg_class
              where relnamespace = 'pgmq'::regnamespace and relkind in ('r', 'p')
                and not relispartition and relname ~ '^[aq]_') as queue (name)`,
  )
  for (const { name, isTorn } of rows) {
    // PGMQ drops an archive only with its queue, and would take an old one for that of a new queue.
    if (isTorn) await client.query('select pgmq.create($1)', [name])
    await client.query('select pgmq.drop_queue($1)', [name])
  }
  await client.query('delete from pgmq.meta')
}

/**
 * By the catalogue's own words for whatever there is, not by kinds. All of it cascades, so that a
 * statement can find its object gone. What an extension needs is kept with it: it would be dropped along.
 */
async function listDrops(client: Client): Promise<Drop[]> {
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
     own_schema (name) as (
       select quote_ident(nspname) from pg_namespace
        where nspname !~ '^pg_'
          and nspname not in ('information_schema', 'provisioning', 'graphile_migrate')
          and not (nspname = 'pgmq' and to_regclass('pgmq.meta') is not null
                   and not exists (select from pg_extension where extname = 'pgmq'))),
     object as (
       select type, identity, name, coalesce(schema, case type when 'schema' then identity end) as place
         from (${await listCatalogued(client)}) as found (classid, objid)
        cross join pg_identify_object(classid, objid, 0)
        where not exists (select from kept where (kept.classid, kept.objid) = (found.classid, found.objid))
          -- A part goes with what it is a part of; a partitioned table has its key for a part and needs
          -- it, too. An operator class is none: it has a name of its own.
          and not exists (select from pg_depend
                           where (pg_depend.classid, pg_depend.objid) = (found.classid, found.objid)
                             and deptype in ('a', 'i', 'P', 'S')
                             and (refclassid, refobjid) <> (found.classid, found.objid)
                             and refclassid <> 'pg_opfamily'::regclass)
          -- Another session's temporary object may have gone meanwhile.
          and type is not null)
     select concat_ws(' ', type, identity) as object,
            case type
              when 'large object' then format('select lo_unlink(%s)', identity)
              -- PostgreSQL 15 says "on language", and does not understand it.
              when 'transform' then format('drop transform if exists %s cascade',
                                           replace(identity, ' on language ', ' language '))
              else format('drop %s if exists %s cascade',
                          case type
                            when 'statistics object' then 'statistics'
                            when 'foreign-data wrapper' then 'foreign data wrapper'
                            -- Without arguments it has a syntax of its own.
                            when 'aggregate' then 'routine'
                            else type
                          end, identity)
            end as statement
       from object
      where (place is null or place in (select name from own_schema))
        and (type = 'schema' or place is null
             or place not in (select identity from object where type = 'schema'))
        -- Queues are PGMQ's to drop.
        and not (type = 'table' and place = quote_ident('pgmq') and name ~ '^"?[aq]_'
                 and to_regclass('pgmq.meta') is not null)
      -- The first two can keep others from being dropped. Among procedures, one's arguments can be
      -- another's with what that returns: the shorter list is unambiguous.
      order by array_position('{event trigger,subscription,schema}', type), length(identity), identity`,
  )
  return rows
}

/** A query for all objects of this database that were not there from the first. */
async function listCatalogued(client: Client): Promise<string> {
  const { rows } = await client.query<{ sql: string }>(
    `select string_agg(
              format('select %L::regclass::oid, oid from %I where oid >= 16384',
                     case relname when 'pg_largeobject_metadata' then 'pg_largeobject' else relname end,
                     relname),
              ' union all ' order by relname) as sql
       from pg_class
       join pg_attribute on attrelid = pg_class.oid and attname = 'oid'
      where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared
        -- Extensions stay; the others hold parts that are not marked as such, and default privileges.
        and relname not in ('pg_extension', 'pg_amop', 'pg_amproc', 'pg_default_acl', 'pg_enum',
                            'pg_user_mapping')`,
  )
  return `${rows[0]?.sql}
    union all
    select 'pg_subscription'::regclass, pg_subscription.oid
      from pg_subscription join pg_database on pg_database.oid = subdbid
     where datname = current_database()`
}
