import type { Config } from '../src/config/config.ts'
import { type Database, describeEmbedded, openDatabase } from '../src/database/database.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import type { Log } from '../src/logger.ts'
import { waitForDatabase } from '../src/postgres/wait.ts'
import { findEmbeddedServer } from './running-server.ts'

/** The database for graphile-migrate's development commands; its URLs include passwords. */
export type DevelopmentDatabase = Pick<Database, 'url' | 'shadowUrl' | 'rootUrl' | 'name' | 'close'>

/**
 * Opens the database that the settings name. Starts the embedded server, unless a service already
 * runs it: then the command uses that server and leaves it running.
 */
export async function openDevelopmentDatabase(
  config: Config,
  deps: { readonly log: Log; readonly signal: AbortSignal },
): Promise<DevelopmentDatabase> {
  const database = await openDatabase(config, deps).catch((error) =>
    findRunningServer(config, error),
  )
  try {
    await waitForDatabase(database.url, {
      waitMs: config.databaseWaitMs,
      purpose: 'development',
      ...deps,
    })
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

function findRunningServer(config: Config, error: unknown): DevelopmentDatabase {
  const isInUse = error instanceof ServiceError && error.code === 'embedded_data_dir_in_use'
  const urlOf = isInUse ? findEmbeddedServer(config) : undefined
  if (urlOf === undefined) throw error
  return { ...describeEmbedded(config, urlOf), close: async () => {} }
}
