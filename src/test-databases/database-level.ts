import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'

/**
 * Selects whether sessions can come into a database (`is_open`), and how many are in it (`sessions`): other
 * than the one that asks, and with prepared transactions and replication slots. No row where the database
 * is gone or has another name.
 *
 * A session that is logging in is not among the activities yet, but holds a lock on the database. So the
 * locks come first: then no session is between the two. Autovacuum has no user.
 */
export function presenceSql(oid: number, name: string): string {
  return sql`
    with session (pid) as (
      select pid
        from pg_catalog.pg_locks
       where locktype = 'object' and classid = 'pg_catalog.pg_database'::pg_catalog.regclass
         and objid = ${oid} and pid <> pg_catalog.pg_backend_pid()
      union all
      select pid
        from pg_catalog.pg_stat_activity
       where datid = ${oid} and usesysid is not null and pid <> pg_catalog.pg_backend_pid()
      union all
      select null from pg_catalog.pg_prepared_xacts where database = ${literal(name)}
      union all
      select null from pg_catalog.pg_replication_slots where database = ${literal(name)}
    )
    select datallowconn as is_open,
           (select count(*)::int from session) as sessions
      from pg_catalog.pg_database
     where oid = ${oid} and datname = ${literal(name)}`
}

/**
 * Selects as text all that belongs to a database itself: owner, privileges, settings, limits, comment. Read
 * it after the last session has ended, in a statement of its own: who is there is read as it is at the
 * moment, the rest as it was when the statement began.
 */
export function databaseSettingsSql(oid: number): string {
  return sql`
    select pg_catalog.jsonb_build_array(
             pg_catalog.to_jsonb(entry) - '{oid, datname, datallowconn, datfrozenxid, datminmxid}'::text[],
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
      from pg_catalog.pg_database as entry
     where oid = ${oid}`
}
