import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import { EXIT } from '../errors/codes.ts'
import { ServiceError } from '../errors/service-error.ts'
import { describeAhead } from '../migrations/history.ts'
import { type ProvisionHooks, type ProvisionResult, provision } from '../migrations/provision.ts'
import type { SessionClient } from '../postgres/connection/client.ts'
import type { TestDatabases } from '../test-databases/test-databases.ts'
import { SERVICE } from '../version.ts'
import { lends, type ServiceContext } from './context.ts'
import { mayStay } from './failed-start.ts'

export interface MigrateInput {
  readonly database: Database
  readonly hooks: ProvisionHooks
  /** An open session, for the first attempt; it belongs to this call. */
  readonly session: SessionClient | undefined
}

const LOST_PAUSE_MS = 1000

/**
 * Migrates, and reports that the service is ready. With ON_MIGRATION_FAILURE=stay a database that is lost
 * meanwhile is waited for without a limit.
 */
export async function migrateUntilReached(
  context: ServiceContext,
  input: MigrateInput,
): Promise<void> {
  const { log, readiness } = context
  const { signal } = context.ending
  let { session } = input
  while (true) {
    try {
      return await migrate(context, { ...input, session })
    } catch (error) {
      const isLost = error instanceof ServiceError && error.exitCode === EXIT.database
      if (!isLost || !mayStay(context)) throw error
      log.error({ err: error }, 'lost the database; staying up, not ready, until it is back')
      const detail = `${error.message}; trying again`
      readiness.set({ ready: false, reason: 'database_unavailable', detail })
      session = undefined
    }
    await sleep(LOST_PAUSE_MS, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

async function migrate(
  context: ServiceContext,
  { database, hooks, session }: MigrateInput,
): Promise<void> {
  const { config, log, state, readiness, observation, options } = context
  const once = options.once ?? false
  const result = await provision({
    config,
    database,
    optionalSchema: config.optionalSchema,
    log,
    signal: context.ending.signal,
    onProgress: (progress) => readiness.set({ ready: false, ...progress }),
    onEvent: observation.onEvent,
    hooks,
    session,
    ...(!once && { onReleased: (session) => state.watch?.adopt(session) }),
  })
  const { applied, optionalSchema, ahead } = result
  // Not awaited: the first check would only delay the start. With `once` there is nothing to watch any more.
  if (!once) void state.watch?.expect(applied.slice(0, applied.length - ahead.length))
  if (optionalSchema.ignored !== undefined) log.warn(optionalSchema.ignored)
  state.ahead = describeAhead(ahead)
  if (state.ahead !== undefined) log.warn(`the database is ${state.ahead} (WHEN_AHEAD=serve)`)
  if (lends(config) && !once && state.ahead === undefined) {
    state.testDatabases ??= await openTestDatabases(context, database)
    state.testDatabases.use({
      ...{ applied, optionalSchema: optionalSchema.value, version: SERVICE.version },
    })
  }
  // Where something was applied, it was made meanwhile.
  await state.http?.prepareApp()
  context.ending.signal.throwIfAborted()
  reportReady(context, result)
}

async function openTestDatabases(
  { config, log, ending: { signal } }: ServiceContext,
  database: Database,
): Promise<TestDatabases> {
  // Like the reset: a start without test databases does not load them.
  const { createTestDatabases } = await import('../test-databases/test-databases.ts')
  const { testDatabasesMax: max, testDatabasesAddress: address } = config
  return createTestDatabases({ config, database, max, address, log, signal })
}

function reportReady(context: ServiceContext, result: ProvisionResult): void {
  const { log, state, readiness, startedAt, observation, options } = context
  const { applied, appliedNow, optionalSchema } = result
  const details = [state.ahead, optionalSchema.ignored].filter((detail) => detail !== undefined)
  readiness.set({
    ready: true,
    ...(details.length > 0 && { detail: details.join('; ') }),
    ...(state.ahead !== undefined && { ahead: state.ahead }),
  })
  const startMs = Date.now() - startedAt.getTime()
  log.info({ migrations: applied.length, appliedNow: appliedNow.length, startMs }, 'ready')
  observation.onEvent({ kind: 'ready', applied: applied.length, startMs })
  options.onReady?.()
}
