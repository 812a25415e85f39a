import type { Log } from '../log.ts'

export interface EmbeddedServerOptions {
  /** Absolute path of PostgreSQL's data folder. */
  readonly dataDir: string
  readonly port: number
  /** How long a clean stop may take before the server is ended at once. */
  readonly stopMs: number
  readonly log: Log
  readonly signal: AbortSignal
}

/** A PostgreSQL server that lives as long as the service does. */
export interface EmbeddedServer {
  /** With the password: never logged. */
  urlOf(database: string): string
  close(): Promise<void>
}

/** Starts the PostgreSQL that comes with this project, on 127.0.0.1 only. */
export async function openEmbeddedServer(_options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  throw new Error('not yet')
}
