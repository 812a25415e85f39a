import type { Queryable } from './client.ts'

/**
 * What texts are written and read under, and names resolved: the rows of the baseline are text, and
 * have to mean the same whenever they are read. No limit of the role's applies to a reset.
 */
const SETTINGS: Readonly<Record<string, string>> = {
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
  jit: 'off',
  statement_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}

/** Of a session that serves resets. */
export const SESSION_SETTINGS: typeof SETTINGS = {
  ...SETTINGS,
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  // An index scan learns to pass over the dead rows that tests leave in the catalogue; this one does not.
  enable_bitmapscan: 'off',
  // Of whatever is not waited for on purpose, with a limit of its own.
  lock_timeout: '1s',
}

/** Applies those settings that this PostgreSQL has; `isLocal`: to the transaction only. */
export async function applySettings(
  client: Queryable,
  settings: typeof SETTINGS,
  isLocal: boolean,
): Promise<void> {
  await client.query(
    `select pg_catalog.set_config(key, value, $2)
       from pg_catalog.jsonb_each_text($1) join pg_catalog.pg_settings on name = key`,
    [settings, isLocal],
  )
}

/** Runs `work` in a transaction at read committed, under the settings above. */
export async function withResetSettings<T>(client: Queryable, work: () => Promise<T>): Promise<T> {
  await client.query('begin isolation level read committed read write')
  try {
    await applySettings(client, SETTINGS, true)
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}
