import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { openClient } from '../../postgres/client.ts'
import { isNewDataFolder, makeDataFolder, serverUrl } from './data-folder.ts'
import { type EmbeddedHome, prepareHome } from './home.ts'
import { keepShowingLife, releaseDataFolder } from './owner.ts'
import { refuseTakenPort } from './port.ts'
import { launchServer, type RunningServer } from './postmaster.ts'
import { cannotStart } from './start-error.ts'

export interface EmbeddedServerOptions {
  /** Absolute path of PostgreSQL's data folder. */
  readonly dataDir: string
  readonly port: number
  /** Made where it is missing. */
  readonly database: string
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

const LONGEST_PAUSE_MS = 30_000

/** Starts the PostgreSQL that comes with this project, on 127.0.0.1 only. */
export async function openEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { port, log, signal } = options
  const urlOf = (database: string) => serverUrl(port, database)
  const closing = new AbortController()
  try {
    const home = prepareHome(options.dataDir, log)
    const server = await startServer(home, options)
    await ensureDatabase(urlOf('postgres'), options.database).catch(async (error) => {
      await server.stop(options.stopMs)
      throw error
    })
    const kept = keepRunning(server, home, { ...options, signal: closing.signal })
    const signOfLife = keepShowingLife(home.dataDir)
    return {
      urlOf,
      async close() {
        clearInterval(signOfLife)
        closing.abort()
        await kept
      },
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ServiceError) throw error
    throw cannotStart(error instanceof Error ? error.message : String(error), '', error)
  }
}

async function startServer(
  home: EmbeddedHome,
  { port, log, signal }: EmbeddedServerOptions,
): Promise<RunningServer> {
  const started = performance.now()
  const isNew = isNewDataFolder(home)
  await releaseDataFolder(home.dataDir, log)
  await refuseTakenPort(port)
  if (isNew) await makeDataFolder(home, { log, signal })
  try {
    const server = await launchServer(home, { port, signal })
    const durationMs = Math.round(performance.now() - started)
    log.info({ port, dataDir: home.dataDir, durationMs }, 'embedded server started')
    return server
  } catch (error) {
    signal.throwIfAborted()
    // Another service may have started on the same folder or port in the meantime: say who.
    await releaseDataFolder(home.dataDir, log)
    await refuseTakenPort(port)
    throw error
  }
}

/** Starts the server again whenever it ends by itself; at the signal stops it and returns. */
async function keepRunning(
  first: RunningServer,
  home: EmbeddedHome,
  options: EmbeddedServerOptions,
): Promise<void> {
  const { log, signal, stopMs } = options
  let server: RunningServer | undefined = first
  while (server !== undefined) {
    const stop = server.stop.bind(undefined, stopMs)
    signal.addEventListener('abort', stop, { once: true })
    const ending = await server.ended
    if (signal.aborted) return
    signal.removeEventListener('abort', stop)
    log.error({ ...ending }, 'the embedded server has ended by itself; starting it again')
    server = await startAgain(home, options)
  }
}

async function startAgain(
  home: EmbeddedHome,
  options: EmbeddedServerOptions,
): Promise<RunningServer | undefined> {
  const { log, signal } = options
  for (let pauseMs = 1000; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await startServer(home, options)
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, pauseMs }, 'the embedded server does not start')
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
  return undefined
}

async function ensureDatabase(url: string, name: string): Promise<void> {
  const client = await openClient(url, 'first connection')
  try {
    const { rowCount } = await client.query(
      'select from pg_catalog.pg_database where datname = $1',
      [name],
    )
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
}
