import type { Config } from '../src/config/config.ts'
import { type Database, describeEmbedded, openDatabase } from '../src/database/database.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import type { Log } from '../src/logger.ts'
import { openClient } from '../src/postgres/client.ts'
import { waitForDatabase } from '../src/postgres/wait.ts'

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

async function findRunningServer(config: Config, error: unknown): Promise<DevelopmentDatabase> {
  const isInUse = error instanceof ServiceError && error.code === 'embedded_data_dir_in_use'
  if (!isInUse) throw error
  const running = describeEmbedded(config)
  // The service may run the folder's server on another port, and another server may use this one.
  if ((await readDataDir(running.url)) !== error.extensions.dataDir) throw error
  return { ...running, close: async () => {} }
}

async function readDataDir(url: string): Promise<unknown> {
  try {
    const client = await openClient(url, 'development', { timeoutMs: 5000 })
    const { rows } = await client.query(`select current_setting('data_directory') as "dataDir"`)
    await client.end()
    return rows[0]?.dataDir
  } catch {
    return undefined
  }
}
