import type { Queryable } from '../../postgres/client.ts'

/** What a session shows of things that no statement can undo, so that the next file needs a new one. */
export interface SessionState {
  /** The settings that new sessions of this role in this database begin with. */
  readonly defaults: string
  /** A trigger for new sessions (PostgreSQL 17 and later). */
  readonly has_login_trigger: boolean
  readonly holds_tool_lock: boolean
  readonly other_locks: number
}

/**
 * Undoes what a file can leave behind in its session, as `discard all` does, but for advisory locks: one
 * of them is graphile-migrate's own. Constraints that wait for the commit are checked before, with the
 * file's own role and settings. Runs in the file's transaction, if it has one.
 */
export const UNDO = [
  'set constraints all immediate',
  'close all',
  'unlisten *',
  'deallocate all',
  'set session authorization default',
  'reset role',
  'reset all',
  'discard temp',
  'discard sequences',
]

/** Until the end of the transaction: whatever the role's search path is, names mean PostgreSQL's. */
export const PLAIN_PATH = 'set local search_path = pg_catalog, pg_temp'

/** Reads a SessionState. `key` is that of graphile-migrate's lock. */
export function stateQuery(key: string): string {
  const lock = `classid::bigint = ${key} >> 32 and objid::bigint = ${key} & 4294967295 and objsubid = 1`
  return `
    select coalesce((select string_agg(concat_ws(' ', setdatabase, setrole, setconfig), ', '
                                       order by setdatabase, setrole)
                       from pg_db_role_setting
                      where setdatabase in (0, (select oid from pg_database where datname = current_database()))
                        and setrole in (0, (select oid from pg_roles where rolname = session_user))), '') as defaults,
           exists (select from pg_event_trigger where evtevent = 'login') as has_login_trigger,
           count(*) filter (where ${lock}) > 0 as holds_tool_lock,
           count(*) filter (where not (${lock}))::int as other_locks
      from pg_locks
     where locktype = 'advisory' and pid = pg_backend_pid()`
}

/**
 * Code that may leave something behind that PostgreSQL neither shows nor undoes: a custom setting (which
 * stays as '' after \`reset\`), or a loaded library. Reported too often rather than too rarely.
 */
const UNSEEN =
  'set_config|u&"|(^|[^a-z0-9_$])(load\\s*\'|set(\\s+(session|local))?(\\s+[^\\s=;]*)?["\'.%/-])'

const UNSEEN_PATTERN = new RegExp(UNSEEN, 'i')

/** Whether a file's text may do so itself, or bring code that does. */
export function mayLeaveUnseen(sql: string): boolean {
  return UNSEEN_PATTERN.test(sql) || /extension/i.test(sql)
}

/**
 * Whether code in the database may do so when a file calls it: functions, and expressions that are not in
 * functions. What languages other than SQL and PL/pgSQL keep in a session is not known.
 */
export async function hasCodeThatLeavesUnseen(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `select exists (
              select from pg_catalog.pg_proc join pg_catalog.pg_language on pg_language.oid = prolang
               where pg_proc.oid >= 16384
                 and (lanname not in ('internal', 'sql', 'plpgsql')
                      or case when prosqlbody is null then prosrc
                              else pg_catalog.pg_get_functiondef(pg_proc.oid) end ~* $1))
         or exists (select from pg_catalog.pg_rewrite where oid >= 16384 and ev_action::text ~ $2)
         or exists (select from pg_catalog.pg_attrdef where adbin::text ~ $2)
         or exists (select from pg_catalog.pg_constraint where conbin::text ~ $2)
         or exists (select from pg_catalog.pg_trigger where tgqual::text ~ $2)
         or exists (select from pg_catalog.pg_policy
                     where polqual::text ~ $2 or polwithcheck::text ~ $2) as found`,
    // 2078 is set_config in every version.
    [UNSEEN, ':funcid 2078 '],
  )
  return rows[0]?.found === true
}
