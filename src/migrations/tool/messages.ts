import type { ToolSettings } from './settings.ts'

/** The one message that the service sends to the tool's process. */
export interface ToolJob extends ToolSettings {
  /** In the message because other users of the machine could read it from the arguments. */
  readonly connectionString: string
  readonly migrationsFolder: string
}

/** A failure as PostgreSQL or the tool reports it, without the place in PostgreSQL's own source. */
export interface ToolError {
  readonly message: string
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** In characters from 1, in the text with its placeholders replaced. */
  readonly position?: string
  /** How many statements of the failing text had completed. */
  readonly completedStatements?: number
  /** The failing text had already committed by itself. */
  readonly hasCommitted?: boolean
}

/** What the tool's process reports; `done` or `failed` comes last. */
export type ToolMessage =
  | { readonly type: 'log'; readonly level: string; readonly text: string }
  | { readonly type: 'notice'; readonly severity: string; readonly text: string }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: ToolError }
