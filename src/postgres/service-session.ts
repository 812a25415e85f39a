import { NO_TIME_LIMITS } from './connection/time-limits.ts'

/**
 * A session in which the service's own statements mean what they say, whatever the role or the database
 * sets for applications. Any role may set these, so a role without privileges gets the same session.
 * Not among them: what only a superuser may set, `role`, and `default_transaction_read_only`, which says
 * that the database must not be written to.
 */
export const SERVICE_SESSION: Readonly<Record<string, string>> = {
  ...NO_TIME_LIMITS,
  // How a statement is read.
  search_path: 'pg_catalog, pg_temp',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  array_nulls: 'on',
  transform_null_equals: 'off',
  xmloption: 'content',
  check_function_bodies: 'on',
  'plpgsql.extra_errors': 'none',
  // How values are written and read as text.
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  quote_all_identifiers: 'off',
  xmlbinary: 'base64',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  // What a statement sees, and what it makes.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  row_security: 'on',
  restrict_nonsystem_relation_kind: '',
  default_tablespace: '',
  temp_tablespaces: '',
  default_table_access_method: 'heap',
  // An error, such as a lock that was not available, must not end the session.
  exit_on_error: 'off',
  client_min_messages: 'warning',
}
