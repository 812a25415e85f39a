import type { Client } from 'pg'
import { baselineHasSchema } from '../baseline/store.ts'
import { type Config, loadConfig, OPTIONAL_SCHEMA } from '../config/config.ts'
import { createMask } from '../config/redact.ts'
import { type Database, openDatabase } from '../database/database.ts'
import { monitorDatabase } from '../database/monitor.ts'
import { EXIT, type ExitCode } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import { createApp } from '../http/app.ts'
import type { ResetRouteOptions } from '../http/routes/reset.ts'
import { createLogger } from '../logger.ts'
import { readAppliedMigrations } from '../migrations/history.ts'
import { findOptionalSchema } from '../migrations/optional-schema.ts'
import { type ProvisionHooks, provision } from '../migrations/provision.ts'
import { openClient } from '../postgres/client.ts'
import { waitForDatabase } from '../postgres/wait.ts'
import { createReadiness, type NotReadyReason } from '../readiness.ts'
import {
  assertReadyForReset,
  createResetter,
  describeResets,
  type Resetter,
} from '../reset/resetter.ts'
import { createResetSessions } from '../reset/session.ts'
import { createResetHooks, createResetOffHooks } from '../reset/startup.ts'
import { onStopSignal } from '../signals.ts'
import { createStatusReader } from '../status.ts'

const startedAt = new Date()
const stopping = new AbortController()
const { signal } = stopping
const readiness = createReadiness()
let database: Database | undefined
let serverVersion: string | undefined
/** How many migrations the database had when it became ready. */
let migratedCount = 0
let resetter: Resetter | undefined
let ending: Promise<never> | undefined

const config = loadConfigOrExit()
const mask = createMask(config)
const log = createLogger(config.logLevel, mask)
// Node.js would print what pg and others warn of as text of several lines.
process.removeAllListeners('warning').on('warning', ({ name, message }) => {
  log.warn({ warning: message, type: name }, 'a part of the service warns')
})
process.on('uncaughtException', endAfterError)
process.on('unhandledRejection', endAfterError)
onStopSignal((name) => {
  log.info({ signal: name }, 'stopping')
  end(EXIT.stopped)
})

const readStatus = createStatusReader({
  startedAt,
  migrationsDir: config.migrationsDir,
  readiness,
  database: () => database,
  serverVersion: () => serverVersion,
  reset: () => ({ enabled: config.resetEnabled, ...describeResets(resetter) }),
})
const app = createApp({
  log,
  mask,
  readiness,
  readStatus,
  reset: config.resetEnabled ? createResetRouteOptions(config) : undefined,
})
const running = run().catch(endAfterError)

/** Listen, reach the database, bring it to the last migration, and watch over it until the end. */
async function run(): Promise<void> {
  await listen(config)
  database = await openDatabase(config, { log, signal })
  serverVersion = await reach(database)
  const hooks = prepareReset(database)
  try {
    await migrate(database, hooks)
    void resetter?.warm()
    // So that there is something to show if the database is lost before anybody has asked.
    void readStatus().catch(() => {})
  } catch (error) {
    stayOrThrow(error)
  }
  await monitorDatabase({
    url: database.url,
    onChange: (problem) => readiness.setDatabaseProblem(problem),
    verify: verifyMigrated,
    log,
    signal,
  })
}

async function listen({ host, port }: Config): Promise<void> {
  try {
    await app.listen({ host, port, listenTextResolver: (address) => `listening at ${address}` })
  } catch (cause) {
    const { code, syscall, message } = cause as NodeJS.ErrnoException
    if (syscall === undefined) throw cause
    const expected = code === 'EADDRINUSE' ? 'a free one' : 'an address of this machine'
    throw new ServiceError(
      'address_not_available',
      `cannot listen on HOST ${host}, PORT ${port}: ${message}; expected ${expected}`,
      { cause },
    )
  }
}

async function reach({ url }: Database): Promise<string> {
  const facts = await waitForDatabase(url, {
    waitMs: config.databaseWaitMs,
    purpose: 'wait',
    log,
    signal,
    onWait: (detail) => readiness.set({ ready: false, reason: 'waiting_for_database', detail }),
  })
  return facts.serverVersion
}

async function migrate(database: Database, hooks: ProvisionHooks): Promise<void> {
  const { applied, appliedNow, optionalSchema } = await provision({
    config,
    database,
    optionalSchema: { ...OPTIONAL_SCHEMA, wanted: config.optionalSchema },
    log,
    signal,
    onProgress: (progress) => readiness.set({ ready: false, ...progress }),
    hooks,
  })
  migratedCount = applied.length
  const { ignored } = optionalSchema
  if (ignored !== undefined) log.warn(ignored)
  readiness.set({ ready: true, ...(ignored !== undefined && { detail: ignored }) })
  const startMs = Date.now() - startedAt.getTime()
  log.info({ migrations: applied.length, appliedNow: appliedNow.length, startMs }, 'ready')
}

/** A server that was replaced behind its address is not the one that was migrated. */
async function verifyMigrated(client: Client): Promise<string | undefined> {
  if (migratedCount === 0) return undefined
  const { length } = await readAppliedMigrations(client)
  if (length >= migratedCount) return undefined
  return `the database that answers has ${length} of ${migratedCount} migrations: start the service again`
}

/** Makes what serves POST /reset, where that is on; returns what a start does for it. */
function prepareReset(database: Database): ProvisionHooks {
  if (!config.resetEnabled) return createResetOffHooks(log)
  const sessions = createResetSessions({
    connect: () => openClient(database.url, 'reset'),
    database,
  })
  resetter = createResetter({
    sessions,
    database,
    readiness,
    log,
    migrate: async (hooks, onProgress) => {
      const wanted = config.optionalSchema ?? (await recallOptionalSchema(database))
      return provision({
        config,
        database,
        optionalSchema: { ...OPTIONAL_SCHEMA, wanted },
        log,
        signal,
        onProgress,
        hooks,
      })
    },
  })
  return createResetHooks({ sessions, onInterrupted: readiness.setResetProblem, log })
}

/** What the migrations left counts, whatever has become of it since; what is there, if nobody knows. */
async function recallOptionalSchema(database: Database): Promise<Config['optionalSchema']> {
  const wasThere = await baselineHasSchema(database.pool, OPTIONAL_SCHEMA.name)
  if (wasThere === undefined) {
    const schema = { ...OPTIONAL_SCHEMA, wanted: undefined }
    return findOptionalSchema(database.pool, config.migrationsDir, schema)
  }
  return wasThere ? 'on' : 'off'
}

function createResetRouteOptions({ resetToken = '' }: Config): ResetRouteOptions {
  return {
    token: resetToken,
    assertReady: (mode) => assertReadyForReset(readiness, mode),
    reset: async (options) => {
      if (resetter === undefined) throw new Error('ready, and yet nothing to reset')
      const assertWanted = () => {
        if (signal.aborted) assertReadyForReset(readiness, options.mode)
        options.assertWanted?.()
      }
      return resetter.reset({ ...options, assertWanted })
    },
  }
}

/** With ON_MIGRATION_FAILURE=stay the service goes on, not ready, for somebody to look at. */
function stayOrThrow(error: unknown): void {
  const reason = error instanceof ServiceError ? REASONS[error.exitCode] : undefined
  if (reason === undefined || config.onMigrationFailure === 'exit' || signal.aborted) throw error
  log.error({ err: error }, 'not ready, and staying so')
  readiness.set({ ready: false, reason, detail: (error as ServiceError).message })
}

const REASONS: Readonly<Partial<Record<ExitCode, NotReadyReason>>> = {
  [EXIT.migration]: 'migration_failed',
  [EXIT.history]: 'history_refused',
  [EXIT.lock]: 'waiting_for_lock',
}

function endAfterError(error: unknown): void {
  // What was under way when the stop was asked for has been given up, which is no error.
  if (ending !== undefined && signal.aborted && error === signal.reason) return
  log.fatal({ err: error }, 'the service ends')
  end(error instanceof ServiceError ? error.exitCode : EXIT.unforeseen)
}

/** Lets requests finish, a migration be rolled back and the embedded server stop; then ends. */
function end(exitCode: ExitCode): void {
  ending ??= (async () => {
    setTimeout(() => {
      log.error({ shutdownMs: config.shutdownMs }, 'not stopped in time (SHUTDOWN_SECONDS)')
      process.exit(EXIT.unforeseen)
    }, config.shutdownMs)
    readiness.set({ ready: false, reason: 'stopping', detail: 'the service is stopping' })
    stopping.abort()
    await Promise.all([app.close(), running])
    await resetter?.close()
    await database?.close()
    log.info({ exitCode }, 'stopped')
    process.exit(exitCode)
  })()
}

function loadConfigOrExit(): Config {
  try {
    return loadConfig()
  } catch (error) {
    // Not masked: the error names secrets, and holds none.
    createLogger('info', (line) => line).fatal({ err: error }, 'the service ends')
    process.exit(error instanceof ServiceError ? error.exitCode : EXIT.unforeseen)
  }
}
