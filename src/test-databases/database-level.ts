import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** What a server says about a database from outside. */
export interface DatabaseLevel {
  /** Sessions other than the one that is excepted, prepared transactions and replication slots. */
  readonly sessions: number
  /** All that belongs to the database itself: owner, privileges, settings, limits, comment. */
  readonly settings: string
}

/**
 * A session that is logging in is not among the activities yet, but holds a lock on the database. So the
 * locks come first: then no session is between the two. Autovacuum has no user.
 */
const READ_SQL = sql`
  with found as (
    select * from pg_catalog.pg_database where oid = $1 and datname = $2
  ),
  session (pid) as (
    select pid
      from pg_catalog.pg_locks
     where locktype = 'object' and classid = 'pg_catalog.pg_database'::pg_catalog.regclass
       and objid = $1 and pid not in ($3, pg_catalog.pg_backend_pid())
    union all
    select pid
      from pg_catalog.pg_stat_activity
     where datid = $1 and usesysid is not null and pid <> $3
    union all
    select null from pg_catalog.pg_prepared_xacts where database = $2
    union all
    select null from pg_catalog.pg_replication_slots where database = $2
  )
  select (select count(*)::int from session) as sessions,
         pg_catalog.jsonb_build_array(
           pg_catalog.to_jsonb(found) - '{oid, datname, datallowconn, datfrozenxid, datminmxid}'::text[],
           (select pg_catalog.jsonb_agg(array[setrole::text, setconfig::text] order by setrole)
              from pg_catalog.pg_db_role_setting
             where setdatabase = $1),
           (select pg_catalog.jsonb_agg(description)
              from pg_catalog.pg_shdescription
             where classoid = 'pg_catalog.pg_database'::pg_catalog.regclass and objoid = $1),
           (select pg_catalog.jsonb_agg(array[provider, label] order by provider)
              from pg_catalog.pg_shseclabel
             where classoid = 'pg_catalog.pg_database'::pg_catalog.regclass and objoid = $1),
           (select pg_catalog.jsonb_agg(subname order by subname)
              from pg_catalog.pg_subscription
             where subdbid = $1))::text as settings
    from found`

/** Reads it from another database of the server; undefined where it is gone or has another name. */
export async function readDatabaseLevel(
  client: Queryable,
  { oid, name }: { readonly oid: number; readonly name: string },
  exceptPid: number,
): Promise<DatabaseLevel | undefined> {
  const { rows } = await client.query<DatabaseLevel>({
    // Planning it takes longer than running it.
    name: 'read_database_level',
    text: READ_SQL,
    values: [oid, name, exceptPid],
  })
  return rows[0]
}
