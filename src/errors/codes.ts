/** Exit codes of the process; operators and compose files rely on the numbers. */
export const EXIT = {
  stopped: 0,
  unforeseen: 1,
  settings: 2,
  database: 3,
  migration: 4,
  history: 5,
  lock: 6,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The properties of an error code; they hold wherever the error is raised. */
export interface ErrorCodeEntry {
  /** Default: 503 for an error of the database, otherwise 500. */
  readonly status?: number
  /** Exit code of a process that the error ends. Default: 1. */
  readonly exitCode?: ExitCode
  /** One line for operators: docs/operate/error-codes.md is generated from it. */
  readonly meaning: string
}

type Entries = Readonly<Record<string, ErrorCodeEntry>>

const settings = {
  wrong_settings: {
    exitCode: EXIT.settings,
    meaning:
      'A setting or `.gmrc` does not parse. `problems` lists each one: its name, what was given ' +
      '(never a secret) and what was expected.',
  },
  address_not_available: {
    exitCode: EXIT.settings,
    meaning:
      'The service cannot listen on `HOST` and `PORT`: in use, not an address of this machine, or ' +
      'not permitted.',
  },
  reset_schema_taken: {
    status: 409,
    exitCode: EXIT.settings,
    meaning:
      '`RESET_ENABLED` is true, and the schema `provisioning`, which a reset needs for itself, holds ' +
      '`objects` that the service did not make. They were left as they are.',
  },
  no_migrations_folder: {
    exitCode: EXIT.settings,
    meaning:
      'The folder `committed/` in `MIGRATIONS_DIR` disappeared after the settings were read.',
  },
} as const satisfies Entries

const database = {
  database_not_reached: {
    exitCode: EXIT.database,
    meaning: 'No server answered, or no connection was free, within `DATABASE_WAIT_SECONDS`.',
  },
  database_password_wrong: {
    exitCode: EXIT.database,
    meaning: 'The server rejects the password, or requires one.',
  },
  database_login_refused: {
    exitCode: EXIT.database,
    meaning:
      'The server rejects the login: the user may not log in, or `pg_hba.conf` does not admit it from ' +
      'here with this `sslmode`. (A user that does not exist is mostly reported as a wrong password.)',
  },
  database_missing: {
    exitCode: EXIT.database,
    meaning: 'There is no database of that name.',
  },
  database_connect_denied: {
    exitCode: EXIT.database,
    meaning: 'The user has no CONNECT privilege on the database.',
  },
  database_read_only: {
    exitCode: EXIT.database,
    meaning: 'The database is a standby, or `default_transaction_read_only` is on.',
  },
  database_tls_failed: {
    exitCode: EXIT.database,
    meaning:
      "The server's certificate is not trusted or is for another host, or the server does not offer " +
      'TLS: see `sslmode` and `sslrootcert` in `DATABASE_URL`.',
  },
  database_not_utf8: {
    exitCode: EXIT.database,
    meaning: "The database's encoding is not UTF-8.",
  },
  pooler_not_supported: {
    exitCode: EXIT.database,
    meaning:
      '`DATABASE_URL` leads to a pooler in transaction or statement mode, which cannot hold the ' +
      'migration lock. Nothing was locked or run.',
  },
  database_too_old: {
    exitCode: EXIT.database,
    meaning: 'The server is older than PostgreSQL 15.',
  },
  database_lost: {
    exitCode: EXIT.database,
    meaning: 'The connection to the database was lost while the service was using it.',
  },
  out_of_resources: {
    exitCode: EXIT.database,
    meaning:
      'The database ran out of disk, memory for locks, connections or a configured limit (class 53); ' +
      "`sqlstate`, `postgresMessage` and `hint` are PostgreSQL's. What was running was rolled back.",
  },
  embedded_not_installed: {
    exitCode: EXIT.database,
    meaning: 'There is no package with PostgreSQL binaries for this platform.',
  },
  embedded_no_account: {
    exitCode: EXIT.database,
    meaning:
      'The service runs as root, and no user `postgres` or `nobody` exists that can run the server.',
  },
  embedded_data_dir_in_use: {
    exitCode: EXIT.database,
    meaning: 'A running service owns the data folder; `dataDir` names it.',
  },
  embedded_data_dir_foreign: {
    exitCode: EXIT.database,
    meaning:
      'The data folder is not ours: a symbolic link of another user, or files that are not ' +
      "PostgreSQL's.",
  },
  embedded_data_dir_other_version: {
    exitCode: EXIT.database,
    meaning: 'Another major version of PostgreSQL made the data folder. It is left untouched.',
  },
  embedded_port_in_use: {
    exitCode: EXIT.database,
    meaning: 'Another program uses `EMBEDDED_PORT`.',
  },
  embedded_staging_unsafe: {
    exitCode: EXIT.database,
    meaning: 'A folder under `/var/lib` that only root may write to is writable by others.',
  },
  embedded_start_failed: {
    exitCode: EXIT.database,
    meaning: 'The server did not start; the message ends with its last lines of output.',
  },
} as const satisfies Entries

const migrations = {
  migration_failed: {
    exitCode: EXIT.migration,
    meaning:
      'A migration failed. `migration`, `line`, `text`, `sqlstate`, `context`, `postgresMessage`, ' +
      '`postgresDetail` and `hint` say where and why. It was rolled back completely, unless it says ' +
      '`--! no-transaction`.',
  },
  privilege_missing: {
    status: 409,
    exitCode: EXIT.migration,
    meaning: 'SQLSTATE 42501: the user of `DATABASE_URL` lacks a privilege; the message names it.',
  },
  seed_failed: {
    exitCode: EXIT.migration,
    meaning:
      'A seed failed after the migrations. `seed` names the file; `line`, `text`, `sqlstate` and the like are as ' +
      'for `migration_failed`. It was rolled back.',
  },
  action_failed: {
    exitCode: EXIT.migration,
    meaning:
      'SQL that `.gmrc` has run before or after all migrations failed. `hook` and `file` name it; ' +
      '`line`, `text`, `sqlstate` and the like are as for `migration_failed`.',
  },
  transaction_control: {
    exitCode: EXIT.migration,
    meaning:
      'A migration or a seed has a statement that begins, ends or prepares a transaction: see `migration` or `seed`, `line` ' +
      'and `statement`. Nothing of it was run.',
  },
  lock_timeout: {
    exitCode: EXIT.migration,
    meaning:
      'A migration did not get a lock, or was the victim of a deadlock, each time that it was tried within ' +
      '`LOCK_RETRY_SECONDS`. It was rolled back. `blockers` names the transactions that it waited for last.',
  },
  migration_unfinished: {
    exitCode: EXIT.migration,
    meaning:
      'A migration that runs outside a transaction left an invalid index or a half detached partition. ' +
      '`unfinished` names them, `repair` has the statements that repair them.',
  },
  migration_not_applied: {
    exitCode: EXIT.migration,
    meaning:
      "The migration tool reported success, but a migration is not in the database's history.",
  },
} as const satisfies Entries

const history = {
  history_refused: {
    status: 409,
    exitCode: EXIT.history,
    meaning:
      'The files and the history in the database differ: a file was changed, is missing, is not ' +
      'UTF-8, has CRLF line ends, a header that would be ignored, or does not belong there; or the ' +
      'database is ahead or has a different history. ' +
      '`problems` names each file with both hashes. Nothing was run.',
  },
  no_migrations: {
    exitCode: EXIT.history,
    meaning: 'The folder `committed/` is empty.',
  },
} as const satisfies Entries

const lock = {
  migration_lock_timeout: {
    status: 503,
    exitCode: EXIT.lock,
    meaning:
      'Another instance, or graphile-migrate elsewhere, held its lock for longer than ' +
      '`MIGRATION_LOCK_SECONDS`. The message names the session.',
  },
} as const satisfies Entries

const anyRequest = {
  bad_request: {
    status: 400,
    meaning: 'The path, the headers or the form of the request cannot be read.',
  },
  body_not_json: { status: 400, meaning: 'The body is not valid JSON.' },
  route_not_found: { status: 404, meaning: 'There is no such path.' },
  method_not_allowed: {
    status: 405,
    meaning: 'The path does not accept this method; `Allow` lists those that it does.',
  },
  request_timeout: { status: 408, meaning: 'The request did not arrive in time.' },
  body_too_large: { status: 413, meaning: 'The body is larger than 64 KiB.' },
  expectation_failed: {
    status: 417,
    meaning: 'The header `Expect` asks for something other than `100-continue`.',
  },
  host_not_allowed: {
    status: 421,
    meaning: 'The request is addressed to a host that is not in `ALLOWED_HOSTS`.',
  },
  too_many_wrong_tokens: {
    status: 429,
    meaning:
      'More than 10 wrong tokens came from this address within a minute; `Retry-After` says how long ' +
      'to wait. The right token is always accepted.',
  },
  unsupported_media_type: { status: 415, meaning: 'The body is not `application/json`.' },
  headers_too_large: { status: 431, meaning: 'The headers are larger than 16 KiB.' },
  internal_error: { status: 500, meaning: 'An unforeseen error; the log has the details.' },
} as const satisfies Entries

const reset = {
  token_missing: { status: 401, meaning: 'There is no `Authorization: Bearer …` header.' },
  token_wrong: {
    status: 403,
    meaning: 'The token is not the one of the setting that the message names.',
  },
  body_wrong: { status: 400, meaning: 'The body has an unknown member or a value out of range.' },
  not_ready: {
    status: 503,
    meaning: 'The service is not ready; `reason` is the one that `/readyz` gives.',
  },
  database_not_disposable: {
    status: 403,
    meaning: 'The database is not marked disposable, so its data must not be thrown away.',
  },
  no_baseline: {
    status: 409,
    meaning: 'The state after migrating was never recorded; `remedy` is `rebuild`.',
  },
  schema_changed: {
    status: 409,
    meaning: 'The schema is no longer what the migrations made; see `differences` and `remedy`.',
  },
  not_owner: {
    status: 409,
    meaning: 'The user of `DATABASE_URL` does not own what is to be reset; see `relations`.',
  },
  ignored_objects_depend: {
    status: 409,
    meaning:
      'Objects or rows in `RESET_IGNORE_SCHEMAS` (for a rebuild, also in `RESET_EMPTY_SCHEMAS`) need what the ' +
      'reset has to remove; see `objects`. Nothing was changed.',
  },
  ahead: {
    status: 409,
    meaning:
      'The database has migrations that our files lack (`WHEN_AHEAD=serve`), so resets and test databases ' +
      'are off.',
  },
  rows_not_restorable: {
    status: 409,
    meaning:
      'A constraint, or PostgreSQL otherwise, rejects the rows of the baseline; see `remedy`.',
  },
  locked: { status: 423, meaning: 'An open transaction blocks the reset; see `blockers`.' },
  client_gone: { status: 499, meaning: 'The client disconnected while its reset was waiting.' },
  reset_canceled: {
    status: 503,
    meaning: 'Another session canceled the reset in the database; it was rolled back.',
  },
} as const satisfies Entries

const databases = {
  no_database_free: {
    status: 429,
    meaning:
      'No test database became free within `waitMs`. `lent` says who has them, `Retry-After` when to ask ' +
      'again.',
  },
  lease_not_found: {
    status: 404,
    meaning: 'No test database is lent under this id: it was returned, or its time ran out.',
  },
} as const satisfies Entries

const development = {
  commit_message_missing: {
    exitCode: EXIT.settings,
    meaning: '`npm run db:commit` was called without a message.',
  },
  commit_message_wrong: {
    exitCode: EXIT.settings,
    meaning:
      'The message of `npm run db:commit` has several lines, control characters or more than 512 characters. Nothing was changed.',
  },
  too_many_arguments: {
    exitCode: EXIT.settings,
    meaning:
      'A `db:` command got more arguments than it takes. A message of several words needs quotes.',
  },
  nothing_to_commit: {
    exitCode: EXIT.settings,
    meaning: 'Neither `current.sql` nor a fixture that it includes has a statement.',
  },
  call_not_possible: {
    exitCode: EXIT.settings,
    meaning:
      '`npm run db:explain` was called for a function that does not exist, for a trigger function, or with other arguments than it has.',
  },
  call_failed: {
    exitCode: EXIT.migration,
    meaning:
      "The call of `npm run db:explain` raised an error, with PostgreSQL's message and the line that raised it. It was rolled back.",
  },
  embedded_not_started: {
    exitCode: EXIT.database,
    meaning: '`npm run db:url` found no embedded server: it has never been started here.',
  },
  current_refused: {
    exitCode: EXIT.history,
    meaning:
      '`current.sql`, or a file that it includes, is not UTF-8, has a NUL byte, a byte order mark, a ' +
      'header or an include that would be ignored, or an include from outside of `fixtures/`. `problems` names each file. Nothing was changed.',
  },
  commit_refused: {
    exitCode: EXIT.history,
    meaning:
      '`npm run db:commit` found something that would cause trouble later. It named each rule, with the place and what to do, ' +
      'and how to override it (`--allow`). Nothing was changed.',
  },
  commit_rule_unknown: {
    exitCode: EXIT.settings,
    meaning:
      '`--allow` of `npm run db:commit` named a rule that does not exist, or cannot be allowed.',
  },
  commit_in_progress: {
    exitCode: EXIT.lock,
    meaning:
      'Another `npm run db:commit` or `db:uncommit` uses the same shadow database. Nothing was changed.',
  },
  migration_released: {
    exitCode: EXIT.history,
    meaning:
      '`npm run db:uncommit` was called while the last committed migration is a released one, which is frozen: ' +
      '`migrations/released.json` lists it. Nothing was changed.',
  },
  shadow_database_missing: {
    exitCode: EXIT.settings,
    meaning: 'The command needs `SHADOW_DATABASE_URL` and `ROOT_DATABASE_URL`.',
  },
  shadow_database_not_separate: {
    exitCode: EXIT.settings,
    meaning:
      '`SHADOW_DATABASE_URL` leads to the same database as `DATABASE_URL` or `ROOT_DATABASE_URL`, however ' +
      'it is spelled. The command drops the shadow database, so it needs one of its own.',
  },
  migration_command_failed: {
    exitCode: EXIT.migration,
    meaning:
      "graphile-migrate's command failed or was interrupted; the migrations folder is unchanged.",
  },
  migrations_changed: {
    exitCode: EXIT.migration,
    meaning: 'A file changed while the command ran, and was left as it is.',
  },
} as const satisfies Entries

/**
 * Every error code, once. A code never changes its meaning; the message beside it may change its
 * wording.
 */
export const ERROR_CODES = {
  ...settings,
  ...database,
  ...migrations,
  ...history,
  ...lock,
  ...anyRequest,
  ...reset,
  ...databases,
  ...development,
}

/** The same codes as the chapters of docs/operate/error-codes.md. */
export const ERROR_CODE_CHAPTERS: Readonly<Record<string, Entries>> = {
  Settings: settings,
  Database: database,
  Migrations: migrations,
  History: history,
  'Migration lock': lock,
  'Any request': anyRequest,
  '`POST /reset`': reset,
  '`/databases`': databases,
  'Development commands': development,
}

export type ErrorCode = keyof typeof ERROR_CODES

/** The entry of a code, with the defaults filled in: exit code 1, and HTTP status 503 of the database, otherwise 500. */
export function describeErrorCode(code: ErrorCode): Required<ErrorCodeEntry> {
  const { exitCode = EXIT.unforeseen, ...entry }: ErrorCodeEntry = ERROR_CODES[code]
  const { status = exitCode === EXIT.database ? 503 : 500, meaning } = entry
  return { status, exitCode, meaning }
}
