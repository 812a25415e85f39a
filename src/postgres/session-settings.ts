import type { Queryable } from './client.ts'

type Settings = Readonly<Record<string, string>>

/** Time limits of a role or a database are meant for applications, not for migrations and resets. */
const NO_TIME_LIMITS: Settings = {
  statement_timeout: '0',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}

/**
 * How values are written and read as text, and where names are looked up. The baseline stores rows
 * as text, which must mean the same whenever it is read back.
 */
const CANONICAL_TEXT: Settings = {
  search_path: 'pg_catalog, pg_temp',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  array_nulls: 'on',
  bytea_output: 'hex',
  extra_float_digits: '1',
  quote_all_identifiers: 'off',
  xmlbinary: 'base64',
  xmloption: 'content',
  lc_monetary: 'C',
  client_min_messages: 'error',
}

const CANONICAL_TRANSACTION: Settings = { ...CANONICAL_TEXT, ...NO_TIME_LIMITS, jit: 'off' }

const RESET_SESSION: Settings = {
  ...CANONICAL_TRANSACTION,
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  // Only index scans learn to skip the dead rows that tests leave in the catalogue.
  enable_bitmapscan: 'off',
  // For locks that the reset does not wait for with a timeout of its own.
  lock_timeout: '1s',
}

/** Which time limits this server knows, each lifted: for a session that sets them together with others. */
export async function readTimeLimits(client: Queryable): Promise<Settings> {
  const { rows } = await client.query<{ name: string }>(
    'select name from pg_catalog.pg_settings where name = any ($1)',
    [Object.keys(NO_TIME_LIMITS)],
  )
  return Object.fromEntries(rows.map(({ name }) => [name, '0']))
}

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
 * Commits its result; rolls back on any error.
 */
export async function withCanonicalSettings<T>(
  client: Queryable,
  work: () => Promise<T>,
): Promise<T> {
  await client.query('begin isolation level read committed read write')
  try {
    await apply(client, CANONICAL_TRANSACTION, { isLocal: true })
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/** Skips settings that this version of PostgreSQL does not have. */
async function apply(
  client: Queryable,
  settings: Settings,
  { isLocal }: { isLocal: boolean },
): Promise<void> {
  await client.query(
    `select pg_catalog.set_config(key, value, $2)
       from pg_catalog.jsonb_each_text($1) join pg_catalog.pg_settings on name = key`,
    [settings, isLocal],
  )
}
