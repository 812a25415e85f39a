import type { Config } from '../src/config/config.ts'
import { type Database, describeEmbedded, openDatabase } from '../src/database/database.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import type { Log } from '../src/logger.ts'
import { waitForDatabase } from '../src/postgres/wait.ts'
import { findEmbeddedServer } from './running-server.ts'

/** The database for graphile-migrate's development commands; its URLs include passwords. */
export type DevelopmentDatabase = Pick<Database, 'url' | 'shadowUrl' | 'rootUrl' | 'name' | 'close'>

export interface OpenOptions {
  readonly log: Log
  readonly signal: AbortSignal
  /** For a command that people would rather run again than wait for. */
  readonly maxWaitMs?: number
}

/** How long a command that only reads waits for a server. */
export const SHORT_WAIT_MS = 5000

/**
 * Opens the database that the settings name. Starts the embedded server, unless a service already
 * runs it: then the command uses that server and leaves it running.
 */
export async function openDevelopmentDatabase(
  config: Config,
  { maxWaitMs = Number.POSITIVE_INFINITY, ...deps }: OpenOptions,
): Promise<DevelopmentDatabase> {
  const database = await openDatabase(config, deps).catch((error) =>
    findRunningServer(config, error),
  )
  try {
    await waitForDatabase(database.url, {
      waitMs: Math.min(config.databaseWaitMs, maxWaitMs),
      onWait: createWaitNote(),
      ...(maxWaitMs < config.databaseWaitMs && { remedy: 'start it, or correct DATABASE_URL' }),
      purpose: 'development',
      ...deps,
    })
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Reports what a command waits for, once for each reason. */
function createWaitNote(): (detail: string) => void {
  let last: string | undefined
  return (detail) => {
    // The first has no reason yet.
    if (last !== undefined && detail !== last) process.stderr.write(`${detail}\n`)
    last = detail
  }
}

function findRunningServer(config: Config, error: unknown): DevelopmentDatabase {
  const isInUse = error instanceof ServiceError && error.code === 'embedded_data_dir_in_use'
  const urlOf = isInUse ? findEmbeddedServer(config) : undefined
  if (urlOf === undefined) throw error
  return { ...describeEmbedded(config, urlOf), close: async () => {} }
}
