import type { Refusal } from './refusal.ts'
import type { ToolSettings } from './settings.ts'

/** How many notices of a file are logged; of the others, how many there were. */
export const MAX_NOTICES = 20

/** The one job of a run. */
export interface ToolJob extends ToolSettings {
  /** The database's, with the password. */
  readonly url: string
  /** The name of the database, for the placeholder `:DATABASE_NAME`. */
  readonly databaseName: string
  readonly migrationsFolder: string
  /** The first file that is pending. */
  readonly firstFilename: string | undefined
  /** The last one: nothing is left to do after it. */
  readonly lastFilename: string | undefined
  /** PostgreSQL's `lock_timeout` for files that run in a transaction; undefined leaves the session's. */
  readonly lockTimeoutMs?: number | undefined
  /** How long the record of a file that ran outside a transaction may wait for a lock on the history. */
  readonly recordWaitMs: number
  /** The first file waits for it; a failure is the run's. */
  readonly beforeFirstFile: () => Promise<void>
  /** The first commit of a file waits for it; a failure is the run's. */
  readonly beforeFirstCommit: () => Promise<void>
}

/**
 * What the tool was doing when it failed: preparing a session for the next file, running the file's
 * own text, recording it in the history, or committing both.
 */
export type Phase = 'session' | 'file' | 'record' | 'commit'

/** A failure as PostgreSQL or the tool reports it, without the place in PostgreSQL's own source. */
export interface ToolError {
  readonly message: string
  readonly phase?: Phase
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** The line of the migration's file that failed, and its text, where that is known. */
  readonly line?: number
  readonly text?: string
  /** The file had already committed by itself. */
  readonly hasCommitted?: boolean
  /** The file was refused before any of it ran, or left its transaction open. */
  readonly refusal?: Omit<Refusal, 'offset'>
  /** The name in `pgSettings` that PostgreSQL refuses. */
  readonly setting?: string
  /** The migration was only tried, before a rebuild drops anything. */
  readonly isTrial?: boolean
}

/** What a run reports on the way. */
export type ToolMessage =
  | { readonly type: 'log'; readonly text: string }
  | { readonly type: 'notice'; readonly severity: string; readonly text: string }
  /** How many notices of the current file were not sent. */
  | { readonly type: 'notices-omitted'; readonly count: number }
  /** A file was sent: until PostgreSQL answers, the process has nothing to do. */
  | { readonly type: 'file-sent'; readonly isLast: boolean }
  /** A session was opened, or was ended. */
  | { readonly type: 'session'; readonly backendPid: number; readonly isOpen: boolean }
  /** A statement has had no answer for a while: it takes long, or the connection has gone silent. */
  | { readonly type: 'waiting'; readonly backendPid: number }

/** How a run ended by itself. */
export type ToolEnd =
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: ToolError }
