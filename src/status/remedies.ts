import { EXIT, type ExitCode } from '../errors/codes.ts'
import type { NotReadyReason } from '../readiness.ts'

/*
 * What each state means and what to do about it, once: the page at `/` shows it, and
 * docs/operate/states.md is generated from it. Text between backquotes is code.
 */

/** How a state is to be taken, at a glance. */
export type Tone = 'good' | 'busy' | 'waiting' | 'bad' | 'ending'

/** The word that stands beside the colour of a tone. */
export const TONE_WORDS: Readonly<Record<Tone, string>> = {
  good: 'Up and running',
  busy: 'Working',
  waiting: 'Waiting',
  bad: 'Needs attention',
  ending: 'Ending',
}

export type State = 'ready' | NotReadyReason

export interface StateEntry {
  readonly title: string
  readonly tone: Tone
  readonly meaning: string
  /** Undefined where there is nothing to do. */
  readonly remedy?: string
  /** How the log line begins that goes with it. */
  readonly log: string
  /** How it can end the service; undefined where the service stays up. */
  readonly exit?: { readonly code: ExitCode; readonly when: string }
}

const END_BLOCKER = 'end it with `select pg_terminate_backend(pid)`'

export const STATES: Readonly<Record<State, StateEntry>> = {
  ready: {
    title: 'Ready',
    tone: 'good',
    meaning: 'The database has every committed migration, and it answers.',
    log: 'ready',
  },
  waiting_for_database: {
    title: 'Waiting for the database',
    tone: 'waiting',
    meaning:
      'The service has started, and the database does not answer or has no connection free. The service ' +
      'tries again until `DATABASE_WAIT_SECONDS` are over.',
    remedy:
      'Start the database, or correct host and port in `DATABASE_URL`. The detail says what the last ' +
      'attempt ran into.',
    log: 'waiting for the database at',
    exit: { code: EXIT.database, when: 'after `DATABASE_WAIT_SECONDS`' },
  },
  waiting_for_lock: {
    title: 'Waiting for the migration lock',
    tone: 'waiting',
    meaning:
      'Another instance, or graphile-migrate elsewhere, is migrating this database. One continues at a ' +
      'time; the others try for `MIGRATION_LOCK_SECONDS`.',
    remedy:
      'Wait for the session that the detail names. If it is not migrating any more, ' +
      `${END_BLOCKER}. If the service gave up and stayed up, restart it.`,
    log: 'waiting for the migration lock',
    exit: { code: EXIT.lock, when: 'after `MIGRATION_LOCK_SECONDS`' },
  },
  migrating: {
    title: 'Migrating',
    tone: 'busy',
    meaning: 'Pending migrations are being applied, each in a transaction of its own.',
    remedy: `Wait. If a blocking transaction is named and does not end by itself, ${END_BLOCKER}.`,
    log: 'migration applied',
    exit: { code: EXIT.migration, when: 'if one fails' },
  },
  migration_failed: {
    title: 'Migration failed',
    tone: 'bad',
    meaning:
      'A migration failed and was rolled back, unless it says `--! no-transaction`; those before it ' +
      'stay. The service does not try again by itself.',
    remedy:
      'Correct what the detail names: the file, the data, or a missing privilege. Then restart the ' +
      'service. After a failed rebuild, repeat `POST /reset` with mode `rebuild`.',
    log: 'migration failed; staying up, not ready',
    exit: { code: EXIT.migration, when: 'unless `ON_MIGRATION_FAILURE=stay`' },
  },
  history_refused: {
    title: 'History refused',
    tone: 'bad',
    meaning: 'The files do not match the history in the database, so nothing was run.',
    remedy:
      'Deploy the files that this database was migrated with, or newer ones that continue them, and ' +
      'restart the service. To run on a database that is ahead, set `WHEN_AHEAD=serve`.',
    log: 'the migrations were refused; staying up, not ready',
    exit: { code: EXIT.history, when: 'unless `ON_MIGRATION_FAILURE=stay`' },
  },
  database_unavailable: {
    title: 'Database unavailable',
    tone: 'bad',
    meaning:
      'The database was lost, became read-only, or is not the one that was there before; or a reset was ' +
      'interrupted. What this page shows of it is what was last known.',
    remedy:
      'Bring the database back: the service notices within two seconds and becomes ready by itself. If ' +
      'another database is meant to be at this address, restart the service. After an interrupted ' +
      'reset, reset again.',
    log: 'database unavailable',
  },
  rebuilding: {
    title: 'Rebuilding',
    tone: 'busy',
    meaning: 'A reset with mode `rebuild` drops everything and migrates again.',
    remedy: 'Wait until it is ready again.',
    log: 'reset',
  },
  stopping: {
    title: 'Stopping',
    tone: 'ending',
    meaning:
      'The service received a signal to stop. Requests finish, and a running migration is rolled back.',
    remedy: 'Nothing, unless the stop was not intended: then start the service again.',
    log: 'stopping',
    exit: { code: EXIT.stopped, when: 'within `SHUTDOWN_SECONDS`, else 1' },
  },
}

/** What can be noticed while the service is ready. */
export interface Finding {
  readonly title: string
  readonly tone: Tone
  readonly meaning: string
  readonly remedy: string
}

export const FINDINGS = {
  drift: {
    title: 'The schema has drifted',
    tone: 'waiting',
    meaning:
      'Objects in the migrations’ schemas are not as the migrations made them. Readiness does not depend on it.',
    remedy:
      'Undo the differences by hand, or write them into a migration. After a change that is meant to ' +
      'stay, run `select provisioning.record_schema()`.',
  },
  driftUnknown: {
    title: 'Drift is not known',
    tone: 'waiting',
    meaning: 'The schema cannot be compared with what the migrations made.',
    remedy:
      'A database that was migrated before drift was watched, or on another major version of ' +
      'PostgreSQL, needs one `select provisioning.record_schema()`.',
  },
  ahead: {
    title: 'The database is ahead',
    tone: 'waiting',
    meaning: 'A newer version has migrated this database. Resets are off.',
    remedy: 'Deploy the newer version again, or leave it: `WHEN_AHEAD=serve` allows it.',
  },
  pending: {
    title: 'Migrations are pending',
    tone: 'waiting',
    meaning: 'There are committed files that this database does not have yet.',
    remedy: 'Restart the service: it migrates at its start.',
  },
} as const satisfies Record<string, Finding>

/** What an ended service leaves: its exit code. */
export const EXITS: Readonly<
  Record<ExitCode, { readonly meaning: string; readonly remedy: string }>
> = {
  [EXIT.stopped]: { meaning: 'stopped on request', remedy: 'nothing' },
  [EXIT.unforeseen]: {
    meaning: 'an unforeseen error, a stop that took too long, or a second signal',
    remedy: 'read the end of the log; if it has an error, report it',
  },
  [EXIT.settings]: {
    meaning: 'a setting is wrong, or the port is in use',
    remedy: 'correct each setting that the last error in the log names',
  },
  [EXIT.database]: {
    meaning: 'the database was not reached in time, was lost, or cannot be used',
    remedy: 'start or repair the database, or correct `DATABASE_URL`; then start the service again',
  },
  [EXIT.migration]: {
    meaning: 'a migration failed or was interrupted, or a privilege is missing',
    remedy: 'as for `migration_failed` above',
  },
  [EXIT.history]: {
    meaning: 'the files and the history in the database differ',
    remedy: 'as for `history_refused` above',
  },
  [EXIT.lock]: {
    meaning: 'could not acquire the migration lock in time',
    remedy: 'as for `waiting_for_lock` above; then start the service again',
  },
}
