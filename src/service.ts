import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Client } from 'pg'
import type { Logger } from 'pino'
import { unmarkDisposable } from './baseline/disposable.ts'
import type { Config } from './config/config.ts'
import { createMask } from './config/redact.ts'
import { type Database, openDatabase } from './database/database.ts'
import { createDrift } from './drift/drift.ts'
import { EXIT, type ExitCode } from './errors/codes.ts'
import { ServiceError } from './errors/service-error.ts'
import type { DatabasesRouteOptions } from './http/routes/databases.ts'
import type { ResetRouteOptions } from './http/routes/reset.ts'
import { describeAhead } from './migrations/history.ts'
import { combineHooks } from './migrations/hooks.ts'
import { type ProvisionHooks, provision } from './migrations/provision.ts'
import type { SessionClient } from './postgres/connection/client.ts'
import { createReadiness, type NotReadyReason } from './readiness.ts'
import { assertNotAhead, assertReady, assertReadyForReset } from './reset/assert-ready.ts'
import type { Resetter } from './reset/resetter.ts'
import { createEnding } from './service/ending.ts'
import { type FirstSession, openFirstSession } from './service/first-session.ts'
import { createObservation } from './service/observation.ts'
import { startWatch, type Watch } from './service/watch.ts'
import { createOverviewReader } from './status/overview.ts'
import { createStatusReader } from './status.ts'
import type { TestDatabases } from './test-databases/test-databases.ts'
import { SERVICE } from './version.ts'

/** The whole service, as the process sees it. */
export interface Service {
  /** Starts; resolves with the exit code once everything is closed, or was not closed in time. */
  run(): Promise<ExitCode>
  stop(): void
  /** Logs an error that nothing handled, and stops with its exit code. */
  fail(error: unknown): void
}

/** What the service learns while it starts. */
interface State {
  app?: FastifyInstance
  database?: Database
  serverVersion?: string
  resetter?: Resetter
  watch?: Watch
  testDatabases?: TestDatabases
  /** `ahead by …` on a database that a newer version has migrated. */
  ahead?: string | undefined
}

/** How a start fails where ON_MIGRATION_FAILURE=stay keeps the service up: for `/readyz`, and for the log. */
const STAY_REASONS: Readonly<
  Partial<Record<ExitCode, { reason: NotReadyReason; happened: string }>>
> = {
  [EXIT.migration]: { reason: 'migration_failed', happened: 'migration failed' },
  [EXIT.history]: { reason: 'history_refused', happened: 'the migrations were refused' },
  [EXIT.lock]: { reason: 'waiting_for_lock', happened: 'could not acquire the migration lock' },
}

export interface ServiceOptions {
  /** Migrate and end: no port is opened, and a failure ends it even with ON_MIGRATION_FAILURE=stay. */
  readonly once?: boolean
  /** Called when the start is over and the service is ready. */
  readonly onReady?: () => void
}

const LOST_PAUSE_MS = 1000

/** Creates the service and everything that it holds; it does nothing before `run`. */
export function createService(
  config: Config,
  log: Logger,
  { once = false, onReady }: ServiceOptions = {},
): Service {
  const startedAt = new Date()
  const state: State = {}
  const lends = config.testDatabasesMax > 0
  const readiness = createReadiness()
  const readStatus = createStatusReader({
    startedAt,
    migrationsDir: config.migrationsDir,
    readiness,
    database: () => state.database,
    serverVersion: () => state.serverVersion,
    reset: () => ({ enabled: config.resetEnabled, ...state.resetter?.stats }),
    testDatabases: lends
      ? { max: config.testDatabasesMax, count: async () => state.testDatabases?.count() }
      : undefined,
    drift: () => drift.latest(),
  })
  const mask = createMask(config)
  const sources = {
    readiness,
    pool: () => state.database?.sessions.pool.stats,
    testDatabases: () => state.testDatabases?.lastCounts,
    drift: () => drift.latest(),
  }
  const observation = createObservation({ config, startedAt, sources, mask, log })
  const { metrics, onEvent } = observation
  let running: Promise<void> | undefined
  const ending = createEnding({
    log,
    shutdownMs: config.shutdownMs,
    onStop: () =>
      readiness.set({ ready: false, reason: 'stopping', detail: 'the service is stopping' }),
    // Requests finish first, and a migration that is running is rolled back.
    close: async () => {
      await Promise.all([state.app?.close(), running])
      const observed = observation.close()
      await state.testDatabases?.close()
      await state.resetter?.close()
      await state.watch?.close()
      await state.database?.close()
      await observed
    },
  })
  const { signal } = ending
  // Its `latest()` is what /status shows, and what anything else that shows drift reads.
  const drift = createDrift({
    database: () => state.database,
    isReady: () => readiness.current.ready,
    mayCreate: () => state.ahead === undefined,
    log,
    stopping: signal,
  })

  function createResetRouteOptions(): ResetRouteOptions {
    return {
      token: config.resetToken ?? '',
      assertReady(mode) {
        assertReadyForReset(readiness, mode)
        assertNotAhead(state.ahead)
      },
      reset: async (options) => {
        if (state.resetter === undefined) throw new Error('ready without a resetter')
        // Also after one that failed: a rebuild may have dropped everything.
        return state.resetter.reset(options).finally(drift.checkSoon)
      },
    }
  }

  /** Opens the port. With `once` nothing of this is loaded. */
  async function serve(): Promise<void> {
    const { createApp } = await import('./http/app.ts')
    const { listen } = await import('./http/listen.ts')
    state.app = createApp({
      log,
      hosts: config,
      mask,
      readiness,
      readStatus,
      readOverview: createOverviewReader({ readiness, database: () => state.database }),
      readMetrics: metrics.read,
      onEvent: metrics.onEvent,
      apiDocsFolder: new URL('./api-docs/', import.meta.url),
      reset: config.resetEnabled ? createResetRouteOptions() : undefined,
      databases: lends ? createDatabasesRouteOptions() : undefined,
    })
    await listen(state.app, config)
  }

  function createDatabasesRouteOptions(): DatabasesRouteOptions {
    return {
      token: config.testDatabasesToken ?? '',
      getDatabases() {
        assertReady(readiness.current)
        assertNotAhead(state.ahead)
        if (state.testDatabases === undefined) throw new Error('ready without test databases')
        return state.testDatabases
      },
    }
  }

  /** Listens, reaches the database, migrates it, and watches it until the service stops. */
  async function start(): Promise<void> {
    const given = config.databaseUrl !== undefined && (await open())
    if (!once) {
      await serve().catch((error) => {
        if (given) given.first.abandon()
        throw error
      })
    }
    // Where it is embedded, its server is started only now: a port in use is reported before anything is done.
    const { database, first } = given || (await open())
    const { client: session, serverVersion } = await first.wait()
    state.serverVersion = serverVersion
    // From here on a session that goes silent, also while migrating, is found and ended.
    state.watch = startWatch({ database, readiness, log, stopping: signal })
    const hooks = await prepareReset(database)
    try {
      await migrateUntilReached(database, hooks, session)
      if (once) {
        // A stop would have it check the database once more, in a session of its own.
        await state.watch?.close()
        ending.begin(EXIT.stopped)
        return
      }
      if (state.ahead === undefined) void state.resetter?.warm()
      drift.checkSoon()
      // There is a status to show even if the database is lost before the first request for it.
      void readStatus().catch(() => {})
    } catch (error) {
      stayOrThrow(error)
    }
  }

  /** Opens the database, and begins to connect to it. */
  async function open(): Promise<{ database: Database; first: FirstSession }> {
    const database = await openDatabase(config, { log, signal })
    state.database = database
    const onWait = (detail: string) =>
      readiness.set({ ready: false, reason: 'waiting_for_database', detail })
    return { database, first: openFirstSession({ config, database, log, signal, onWait }) }
  }

  async function prepareReset(database: Database): Promise<ProvisionHooks> {
    // A start that is refused leaves the mark as it is.
    if (!config.resetEnabled) {
      if (config.seedsDir !== undefined) {
        const where = lends ? 'seeds run in test databases only' : 'seeds are ignored'
        log.info({ seedsDir: config.seedsDir }, `${where}, since RESET_ENABLED is false`)
      }
      const unmarking = { beforeMigrating: (client: Client) => unmarkDisposable(client, log) }
      return combineHooks(unmarking, drift.recording)
    }
    // A third of the service's modules, which a start without reset does not load.
    const { openReset } = await import('./service/reset.ts')
    const { resetter, hooks } = openReset({
      ...{ config, database, readiness, log, signal, onEvent, recording: drift.recording },
      onMigrated: async (applied, optionalSchema) => {
        state.testDatabases?.use({ applied, optionalSchema, version: SERVICE.version })
        await state.watch?.expect(applied)
      },
    })
    state.resetter = resetter
    return combineHooks(hooks, drift.recording)
  }

  async function openTestDatabases(database: Database): Promise<TestDatabases> {
    // Like the reset: a start without test databases does not load them.
    const { createTestDatabases } = await import('./test-databases/test-databases.ts')
    const { testDatabasesMax: max, testDatabasesAddress: address } = config
    return createTestDatabases({ config, database, max, address, log, signal })
  }

  async function migrate(
    database: Database,
    hooks: ProvisionHooks,
    session: SessionClient | undefined,
  ): Promise<void> {
    const { applied, appliedNow, optionalSchema, ahead } = await provision({
      config,
      database,
      optionalSchema: config.optionalSchema,
      log,
      signal,
      onProgress: (progress) => readiness.set({ ready: false, ...progress }),
      onEvent,
      hooks,
      session,
      ...(!once && { onReleased: (session) => state.watch?.adopt(session) }),
    })
    // Not awaited: the first check would only delay the start. With `once` there is nothing to watch any more.
    if (!once) void state.watch?.expect(applied.slice(0, applied.length - ahead.length))
    const { ignored } = optionalSchema
    if (ignored !== undefined) log.warn(ignored)
    state.ahead = describeAhead(ahead)
    if (state.ahead !== undefined) log.warn(`the database is ${state.ahead} (WHEN_AHEAD=serve)`)
    if (lends && !once && state.ahead === undefined) {
      state.testDatabases ??= await openTestDatabases(database)
      state.testDatabases.use({
        ...{ applied, optionalSchema: optionalSchema.value, version: SERVICE.version },
      })
    }
    const details = [state.ahead, ignored].filter((detail) => detail !== undefined)
    readiness.set({
      ready: true,
      ...(details.length > 0 && { detail: details.join('; ') }),
      ...(state.ahead !== undefined && { ahead: state.ahead }),
    })
    const startMs = Date.now() - startedAt.getTime()
    log.info({ migrations: applied.length, appliedNow: appliedNow.length, startMs }, 'ready')
    onEvent({ kind: 'ready', applied: applied.length, startMs })
    onReady?.()
  }

  /** With ON_MIGRATION_FAILURE=stay a database that is lost meanwhile is waited for without a limit. */
  async function migrateUntilReached(
    database: Database,
    hooks: ProvisionHooks,
    opened: SessionClient,
  ): Promise<void> {
    let session: SessionClient | undefined = opened
    while (true) {
      try {
        return await migrate(database, hooks, session)
      } catch (error) {
        const isLost = error instanceof ServiceError && error.exitCode === EXIT.database
        if (!isLost || config.onMigrationFailure === 'exit' || once || signal.aborted) throw error
        log.error({ err: error }, 'lost the database; staying up, not ready, until it is back')
        const detail = `${error.message}; trying again`
        readiness.set({ ready: false, reason: 'database_unavailable', detail })
        session = undefined
      }
      await sleep(LOST_PAUSE_MS, undefined, { signal }).catch(() => {})
      signal.throwIfAborted()
    }
  }

  /** With ON_MIGRATION_FAILURE=stay the service stays up, not ready, so that its status can be read. */
  function stayOrThrow(error: unknown): void {
    const stay = error instanceof ServiceError ? STAY_REASONS[error.exitCode] : undefined
    const mayStay = config.onMigrationFailure === 'stay' && !once && !signal.aborted
    if (stay === undefined || !mayStay) throw error
    const { reason, happened } = stay
    reportFailure(error)
    log.error({ err: error }, `${happened}; staying up, not ready (ON_MIGRATION_FAILURE=stay)`)
    readiness.set({ ready: false, reason, detail: (error as ServiceError).message })
  }

  function reportFailure(error: unknown): void {
    if (signal.aborted) return
    const code = error instanceof ServiceError ? error.code : 'internal_error'
    const message = error instanceof Error ? error.message : String(error)
    onEvent({ kind: 'start_failed', code, message })
  }

  return {
    run() {
      log.info({ version: SERVICE.version, node: process.version }, 'starting')
      running = start().catch((error) => {
        reportFailure(error)
        ending.fail(error)
      })
      return ending.exitCode
    },
    stop: () => ending.begin(EXIT.stopped),
    fail: ending.fail,
  }
}
