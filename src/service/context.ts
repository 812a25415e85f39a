import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { Drift } from '../drift/drift.ts'
import type { Status } from '../http/schemas/status.ts'
import type { Readiness } from '../readiness.ts'
import type { Resetter } from '../reset/resetter.ts'
import type { TestDatabases } from '../test-databases/test-databases.ts'
import type { Ending } from './ending.ts'
import type { Observation } from './observation.ts'
import type { Watch } from './watch.ts'

export interface ServiceOptions {
  /** Migrate and end: no port is opened, and a failure ends it even with ON_MIGRATION_FAILURE=stay. */
  readonly once?: boolean
  /** Called when the start is over and the service is ready. */
  readonly onReady?: () => void
}

/** The HTTP side of the service. */
export interface HttpSide {
  /** Resolves when there is an app to answer requests; makes it where nothing has asked for it before. */
  prepareApp(): Promise<unknown>
  close(): Promise<void>
}

/** What the service learns while it starts. */
export interface State {
  http?: HttpSide
  database?: Database
  serverVersion?: string
  resetter?: Resetter
  watch?: Watch
  testDatabases?: TestDatabases
  /** `ahead by …` on a database that a newer version has migrated. */
  ahead?: string | undefined
}

/** What the parts of one service share. */
export interface ServiceContext {
  readonly config: Config
  readonly log: Logger
  readonly options: ServiceOptions
  readonly startedAt: Date
  readonly state: State
  readonly readiness: Readiness
  readonly mask: (text: string) => string
  readonly observation: Observation
  readonly readStatus: () => Promise<Status>
  readonly drift: Drift
  readonly ending: Ending
}

/** Whether the service lends databases. */
export function lends({ testDatabasesMax }: Pick<Config, 'testDatabasesMax'>): boolean {
  return testDatabasesMax > 0
}
