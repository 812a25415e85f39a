import type { Client } from 'pg'

/** A query for all objects of this database, except those that every new database has. */
export async function listCatalogued(client: Client): Promise<string> {
  const { rows } = await client.query<{ sql: string }>(
    `select string_agg(
              format('select %L::regclass::oid, oid from %I where oid >= 16384',
                     case relname when 'pg_largeobject_metadata' then 'pg_largeobject' else relname end,
                     relname),
              ' union all ' order by relname) as sql
       from pg_class
       join pg_attribute on attrelid = pg_class.oid and attname = 'oid'
      where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared
        -- Extensions and default privileges stay; the others hold parts that are not marked as such.
        and relname not in ('pg_extension', 'pg_amop', 'pg_amproc', 'pg_default_acl', 'pg_enum',
                            'pg_user_mapping')`,
  )
  return `${rows[0]?.sql}
    union all
    select 'pg_subscription'::regclass, pg_subscription.oid
      from pg_subscription join pg_database on pg_database.oid = subdbid
     where datname = current_database()`
}
