import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** Who is in a database, or may come in. */
export interface Presence {
  /** Whether a session could come in. */
  readonly isOpen: boolean
  /** Sessions other than the one that asks, prepared transactions and replication slots. */
  readonly sessions: number
}

/**
 * A session that is logging in is not among the activities yet, but holds a lock on the database. So the
 * locks come first: then no session is between the two. Autovacuum has no user.
 */
const PRESENCE_SQL = sql`
  with session (pid) as (
    select pid
      from pg_catalog.pg_locks
     where locktype = 'object' and classid = 'pg_catalog.pg_database'::pg_catalog.regclass
       and objid = $1 and pid <> pg_catalog.pg_backend_pid()
    union all
    select pid
      from pg_catalog.pg_stat_activity
     where datid = $1 and usesysid is not null and pid <> pg_catalog.pg_backend_pid()
    union all
    select null from pg_catalog.pg_prepared_xacts where database = $2
    union all
    select null from pg_catalog.pg_replication_slots where database = $2
  )
  select datallowconn as "isOpen",
         (select count(*)::int from session) as sessions
    from pg_catalog.pg_database
   where oid = $1 and datname = $2`

/** Undefined where the database is gone or has another name. */
export async function readPresence(
  client: Queryable,
  { oid, name }: { readonly oid: number; readonly name: string },
): Promise<Presence | undefined> {
  const { rows } = await client.query<Presence>({
    // Planning it takes longer than running it.
    name: 'read_presence',
    text: PRESENCE_SQL,
    values: [oid, name],
  })
  return rows[0]
}

/**
 * Selects as text all that belongs to a database itself: owner, privileges, settings, limits, comment. Read
 * it after the last session has ended, in a statement of its own: who is there is read as it is at the
 * moment, the rest as it was when the statement began.
 */
export function databaseSettingsSql(oid: number): string {
  return sql`
    select pg_catalog.jsonb_build_array(
             pg_catalog.to_jsonb(found) - '{oid, datname, datallowconn, datfrozenxid, datminmxid}'::text[],
             (select pg_catalog.jsonb_agg(array[setrole::text, setconfig::text] order by setrole)
                from pg_catalog.pg_db_role_setting
               where setdatabase = ${oid}),
             (select pg_catalog.jsonb_agg(description)
                from pg_catalog.pg_shdescription
               where classoid = 'pg_catalog.pg_database'::pg_catalog.regclass and objoid = ${oid}),
             (select pg_catalog.jsonb_agg(array[provider, label] order by provider)
                from pg_catalog.pg_shseclabel
               where classoid = 'pg_catalog.pg_database'::pg_catalog.regclass and objoid = ${oid}),
             (select pg_catalog.jsonb_agg(subname order by subname)
                from pg_catalog.pg_subscription
               where subdbid = ${oid}))::text
      from pg_catalog.pg_database as found
     where oid = ${oid}`
}
