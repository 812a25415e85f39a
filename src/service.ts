import type { Logger } from 'pino'
import type { Config } from './config/config.ts'
import { createMask } from './config/redact.ts'
import { createDrift } from './drift/drift.ts'
import { EXIT, type ExitCode } from './errors/codes.ts'
import { createReadiness } from './readiness.ts'
import { lends, type ServiceContext, type ServiceOptions, type State } from './service/context.ts'
import { createEnding } from './service/ending.ts'
import { reportFailure } from './service/failed-start.ts'
import { createObservation } from './service/observation.ts'
import { start } from './service/start.ts'
import { createStatusReader } from './status.ts'
import { SERVICE } from './version.ts'

export type { ServiceOptions } from './service/context.ts'

/** The whole service, as the process sees it. */
export interface Service {
  /** Starts; resolves with the exit code once everything is closed, or was not closed in time. */
  run(): Promise<ExitCode>
  stop(): void
  /** Logs an error that nothing handled, and stops with its exit code. */
  fail(error: unknown): void
}

/** Creates the service and everything that it holds; it does nothing before `run`. */
export function createService(config: Config, log: Logger, options: ServiceOptions = {}): Service {
  const startedAt = new Date()
  const state: State = {}
  const readiness = createReadiness()
  const readStatus = createStatusReader({
    startedAt,
    migrationsDir: config.migrationsDir,
    readiness,
    database: () => state.database,
    serverVersion: () => state.serverVersion,
    reset: () => ({ enabled: config.resetEnabled, ...state.resetter?.stats }),
    testDatabases: lends(config)
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
  let running: Promise<void> | undefined
  const ending = createEnding({
    log,
    shutdownMs: config.shutdownMs,
    onStop: () =>
      readiness.set({ ready: false, reason: 'stopping', detail: 'the service is stopping' }),
    // Requests finish first, and a migration that is running is rolled back.
    close: async () => {
      await Promise.all([state.http?.close(), running])
      const observed = observation.close()
      await state.testDatabases?.close()
      await state.resetter?.close()
      await state.watch?.close()
      await state.database?.close()
      await observed
    },
  })
  // Its `latest()` is what /status shows, and what anything else that shows drift reads.
  const drift = createDrift({
    database: () => state.database,
    session: () => state.watch?.session,
    isReady: () => readiness.current.ready,
    mayCreate: () => state.ahead === undefined,
    log,
    stopping: ending.signal,
  })
  const context: ServiceContext = {
    ...{ config, log, options, startedAt, state, readiness, mask },
    ...{ observation, readStatus, drift, ending },
  }
  return {
    run() {
      log.info({ version: SERVICE.version, node: process.version }, 'starting')
      running = start(context).catch((error) => {
        reportFailure(context, error)
        ending.fail(error)
      })
      return ending.exitCode
    },
    stop: () => ending.begin(EXIT.stopped),
    fail: ending.fail,
  }
}
