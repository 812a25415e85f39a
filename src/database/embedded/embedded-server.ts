import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../errors/service-error.ts'
import type { Log } from '../../logger.ts'
import { openClient } from '../../postgres/client.ts'
import { describeError, isPasswordWrong } from '../../postgres/errors.ts'
import { serverUrl } from './address.ts'
import { createDataFolder, isNewDataFolder } from './data-folder.ts'
import { type EmbeddedHome, prepareHome } from './home.ts'
import { releaseDataFolder, startHeartbeat } from './owner.ts'
import {
  createPassword,
  passwordFileOf,
  readPassword,
  savePassword,
  setPassword,
} from './password.ts'
import { assertPortFree } from './port.ts'
import { type Ending, launchServer, type RunningServer } from './postmaster.ts'
import { startError } from './start-error.ts'

export interface EmbeddedServerOptions {
  /** Absolute path of PostgreSQL's data folder. */
  readonly dataDir: string
  readonly port: number
  /** Created if it does not exist. */
  readonly database: string
  /** The superuser's password; otherwise the one from before, or a random one. */
  readonly password?: string | undefined
  /** Hides the password in all output. */
  readonly secrets: { add(secret: string): void }
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
  const closing = new AbortController()
  try {
    const home = prepareHome(options.dataDir, log)
    // It stays the same as long as the service runs, whatever happens to the data folder.
    const password = options.password ?? readPassword(home.dataDir) ?? createPassword()
    options.secrets.add(password)
    const run = { ...options, password }
    const server = await startServer(home, run)
    const stopped = keepRunning(server, { ...run, signal: closing.signal })
    return {
      urlOf: (database) => serverUrl(port, database, password),
      async close() {
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

interface RunOptions extends EmbeddedServerOptions {
  readonly password: string
}

async function startServer(home: EmbeddedHome, options: RunOptions): Promise<RunningServer> {
  const { port, password, log, signal } = options
  const { dataDir } = home
  const started = performance.now()
  const isNew = isNewDataFolder(home)
  await releaseDataFolder(dataDir, log)
  await assertPortFree(port)
  if (!isNew) await ensurePassword(home, password, log)
  else if (await createDataFolder(home, { password, log, signal })) savePassword(dataDir, password)
  const server = await launch(home, options)
  try {
    await ensureDatabase(serverUrl(port, 'postgres', password), options.database)
  } catch (error) {
    await server.stop(options.stopMs)
    // A rejected login is reported with advice about DATABASE_URL, which does not apply here.
    const reason = error instanceof ServiceError ? (error.cause ?? error) : error
    // The folder may be a copy that was restored: its password is not the one in the file.
    if (!isPasswordWrong(reason) || readPassword(dataDir) === undefined) throw reason
    rmSync(passwordFileOf(dataDir))
    return startServer(home, options)
  }
  const durationMs = Math.round(performance.now() - started)
  log.info({ port, dataDir, durationMs }, 'embedded server started')
  return server
}

async function launch(home: EmbeddedHome, options: RunOptions): Promise<RunningServer> {
  const { port, log, signal } = options
  try {
    return await launchServer(home, { port, signal })
  } catch (error) {
    signal.throwIfAborted()
    // Another service may have taken the folder or the port since the checks: report that instead.
    await releaseDataFolder(home.dataDir, log)
    await assertPortFree(port)
    throw error
  }
}

/** A folder from before has the password that everybody knows. */
async function ensurePassword(home: EmbeddedHome, password: string, log: Log): Promise<void> {
  if (readPassword(home.dataDir) === password) return
  await setPassword(home, password)
  savePassword(home.dataDir, password)
  log.info({ file: passwordFileOf(home.dataDir) }, 'set a new password of the embedded server')
}

/** Restarts the server whenever it ends by itself; when the signal aborts, stops it and returns. */
async function keepRunning(first: RunningServer, options: RunOptions): Promise<void> {
  const { log, signal, stopMs } = options
  let server: RunningServer | undefined = first
  while (server !== undefined) {
    const stop = server.stop.bind(undefined, stopMs)
    // The service may have been stopped while the server was restarting.
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    const ending = await endOf(server, log)
    if (signal.aborted) return
    signal.removeEventListener('abort', stop)
    log.error({ ...ending }, 'the embedded server ended by itself; restarting it')
    server = await restartServer(options)
  }
}

/** Waits until the server ends; ends it if its data folder is gone, which cannot end well. */
async function endOf(server: RunningServer, log: Log): Promise<Ending> {
  const { dataDir } = server
  const heartbeat = startHeartbeat(dataDir, () => {
    log.error({ dataDir }, 'the data folder was removed or replaced while its server was running')
    void server.stop(0)
  })
  return server.ended.finally(() => clearInterval(heartbeat))
}

async function restartServer(options: RunOptions): Promise<RunningServer | undefined> {
  const { log, signal } = options
  for (let pauseMs = 1000; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await startServer(prepareHome(options.dataDir, log), options)
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
