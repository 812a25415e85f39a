import type { Queryable } from './client.ts'
import { NO_TIME_LIMITS } from './connection/time-limits.ts'
import { SERVICE_SESSION } from './service-session.ts'

type Settings = Readonly<Record<string, string>>

/** The baseline stores rows as text, which must mean the same whenever it is read back. */
const CANONICAL_TRANSACTION: Settings = {
  ...SERVICE_SESSION,
  client_min_messages: 'error',
  jit: 'off',
}

const RESET_SESSION: Settings = {
  ...CANONICAL_TRANSACTION,
  default_transaction_read_only: 'off',
  // Only index scans learn to skip the dead rows that tests leave in the catalogue.
  enable_bitmapscan: 'off',
  // For locks that the reset does not wait for with a timeout of its own.
  lock_timeout: '1s',
}

/** Selects the search_path that the role or the database sets, also in a session with the service's settings. */
export const INHERITED_SEARCH_PATH_SQL = `
  select case when setting = '${SERVICE_SESSION.search_path}' then reset_val else setting end
    from pg_catalog.pg_settings
   where name = 'search_path'`

/** Lifts every time limit that the role or the database imposes on this session. */
export async function liftTimeLimits(client: Queryable): Promise<void> {
  await apply(client, NO_TIME_LIMITS, { isLocal: false })
}

/** Prepares a session that serves resets. */
export async function applyResetSettings(client: Queryable): Promise<void> {
  await apply(client, RESET_SESSION, { isLocal: false })
}

/**
 * Runs `work` in a read-committed transaction in which text is canonical and no time limit applies.
 * Commits its result, unless it is to be rolled back; rolls back on any error.
 */
export async function withCanonicalSettings<T>(
  client: Queryable,
  work: () => Promise<T>,
  { ends = 'commit' }: { readonly ends?: 'commit' | 'rollback' } = {},
): Promise<T> {
  await client.query('begin isolation level read committed read write')
  try {
    await apply(client, CANONICAL_TRANSACTION, { isLocal: true })
    const result = await work()
    await client.query(ends)
    return result
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/**
 * Skips settings that this version of PostgreSQL does not have. There is no operator in the query, because
 * an inherited search_path may put another one in front of PostgreSQL's.
 */
async function apply(
  client: Queryable,
  settings: Settings,
  { isLocal }: { isLocal: boolean },
): Promise<void> {
  await client.query(
    `select pg_catalog.set_config(key, value, $2)
       from pg_catalog.jsonb_each_text($1)
      where pg_catalog.current_setting(key, true) is not null`,
    [settings, isLocal],
  )
}
