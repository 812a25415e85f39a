import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { openClient } from '../../postgres/client.ts'
import { describeError } from '../../postgres/errors.ts'
import { createDataFolder, isNewDataFolder, serverUrl } from './data-folder.ts'
import { type EmbeddedHome, prepareHome } from './home.ts'
import { releaseDataFolder, startHeartbeat } from './owner.ts'
import { assertPortFree } from './port.ts'
import { launchServer, type RunningServer } from './postmaster.ts'
import { startError } from './start-error.ts'

export interface EmbeddedServerOptions {
  /** Absolute path of PostgreSQL's data folder. */
  readonly dataDir: string
  readonly port: number
  /** Created if it does not exist. */
  readonly database: string
  /** How long a clean shutdown may take before an immediate one. */
  readonly stopMs: number
  readonly log: Log
  readonly signal: AbortSignal
}

/** A PostgreSQL server that lives as long as the service does. */
export interface EmbeddedServer {
  /** Includes the password: never log it. */
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
    const stopped = keepRunning(server, home, { ...options, signal: closing.signal })
    const heartbeat = startHeartbeat(home.dataDir)
    return {
      urlOf,
      async close() {
        clearInterval(heartbeat)
        closing.abort()
        await stopped
      },
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ServiceError) throw error
    throw startError(describeError(error), '', error)
  }
}

async function startServer(
  home: EmbeddedHome,
  { port, log, signal }: EmbeddedServerOptions,
): Promise<RunningServer> {
  const started = performance.now()
  const isNew = isNewDataFolder(home)
  await releaseDataFolder(home.dataDir, log)
  await assertPortFree(port)
  if (isNew) await createDataFolder(home, { log, signal })
  try {
    const server = await launchServer(home, { port, signal })
    const durationMs = Math.round(performance.now() - started)
    log.info({ port, dataDir: home.dataDir, durationMs }, 'embedded server started')
    return server
  } catch (error) {
    signal.throwIfAborted()
    // Another service may have taken the folder or the port since the checks: report that instead.
    await releaseDataFolder(home.dataDir, log)
    await assertPortFree(port)
    throw error
  }
}

/** Restarts the server whenever it ends by itself; when the signal aborts, stops it and returns. */
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
    log.error({ ...ending }, 'the embedded server ended by itself; restarting it')
    server = await restartServer(home, options)
  }
}

async function restartServer(
  home: EmbeddedHome,
  options: EmbeddedServerOptions,
): Promise<RunningServer | undefined> {
  const { log, signal } = options
  for (let pauseMs = 1000; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await startServer(home, options)
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, pauseMs }, 'the embedded server cannot restart')
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
