import type { Queryable } from '../postgres/client.ts'
import { isInsufficientPrivilege } from '../postgres/errors.ts'

/**
 * Says why a new session of this user could not write; undefined if it could. It reads the catalogue,
 * because a session that is already open keeps the setting that it began with.
 */
export async function findReadOnlyReason(client: Queryable): Promise<string | undefined> {
  const { rows } = await client.query<{ isStandby: boolean; isReadOnly: boolean }>(
    `select pg_catalog.pg_is_in_recovery() as "isStandby",
            coalesce(
              (select pg_catalog.split_part(setting, '=', 2)::boolean
                 from pg_catalog.pg_db_role_setting own, pg_catalog.unnest(own.setconfig) setting
                where own.setdatabase in (0, (select oid from pg_catalog.pg_database
                                               where datname = pg_catalog.current_database()))
                  and own.setrole in (0, (select oid from pg_catalog.pg_roles
                                           where rolname = session_user))
                  and setting like 'default\\_transaction\\_read\\_only=%'
                order by own.setrole <> 0 desc, own.setdatabase <> 0 desc
                limit 1),
              (select reset_val::boolean from pg_catalog.pg_settings
                where name = 'default_transaction_read_only')) as "isReadOnly"`,
  )
  if (rows[0]?.isStandby) return 'the database is read-only: its server is a standby'
  if (rows[0]?.isReadOnly) {
    return 'the database is read-only: default_transaction_read_only is on for it, its user or its server'
  }
  return undefined
}

/**
 * Which database this is, whatever its address: the server's system identifier and the database's oid.
 * A standby that is promoted keeps both; a restored dump or a copy has others.
 */
export async function readIdentity(client: Queryable): Promise<string> {
  const oid = `select oid::text from pg_catalog.pg_database where datname = pg_catalog.current_database()`
  try {
    const { rows } = await client.query<{ identity: string }>(
      `select system_identifier || '/' || (${oid}) as identity from pg_catalog.pg_control_system()`,
    )
    return rows[0]?.identity ?? ''
  } catch (error) {
    // Some providers take this right away from everybody.
    if (!isInsufficientPrivilege(error)) throw error
    const { rows } = await client.query<{ oid: string }>(oid)
    return rows[0]?.oid ?? ''
  }
}
