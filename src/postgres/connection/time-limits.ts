/** Time limits of a role or a database are meant for applications, not for migrations and resets. */
export const NO_TIME_LIMITS: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}
