import type { Client } from 'pg'
import { unmarkDisposable } from '../baseline/disposable.ts'
import { type Database, openDatabase } from '../database/database.ts'
import { EXIT } from '../errors/codes.ts'
import { combineHooks } from '../migrations/hooks.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import { SERVICE } from '../version.ts'
import { lends, type ServiceContext } from './context.ts'
import { stayOrThrow } from './failed-start.ts'
import { type FirstSession, openFirstSession } from './first-session.ts'
import { migrateUntilReached } from './migrate.ts'
import { serve } from './serve.ts'
import { startWatch } from './watch.ts'

/** Listens, reaches the database, migrates it, and watches it until the service stops. */
export async function start(context: ServiceContext): Promise<void> {
  const { config, log, state, readiness, ending, drift } = context
  const { once = false } = context.options
  const given = config.databaseUrl !== undefined && (await open(context))
  if (!once) {
    await serve(context).catch((error) => {
      if (given) given.first.abandon()
      throw error
    })
  }
  // Where it is embedded, its server is started only now: a port in use is reported before anything is done.
  const { database, first } = given || (await open(context))
  const { client: session, serverVersion } = await first.wait()
  state.serverVersion = serverVersion
  // From here on a session that goes silent, also while migrating, is found and ended.
  state.watch = startWatch({ database, readiness, log, stopping: ending.signal })
  const prepareApp: ProvisionHooks = {
    // After the others have sent what PostgreSQL works on meanwhile.
    whileMigrating: async () => void setImmediate(() => void state.http?.prepareApp()),
  }
  const hooks = combineHooks(prepareApp, await prepareReset(context, database))
  try {
    await migrateUntilReached(context, { database, hooks, session })
    if (once) {
      // A stop would have it check the database once more, in a session of its own.
      await state.watch?.close()
      ending.begin(EXIT.stopped)
      return
    }
    if (state.ahead === undefined) void state.resetter?.warm()
    drift.checkSoon()
    // There is a status to show even if the database is lost before the first request for it.
    void context.readStatus().catch(() => {})
  } catch (error) {
    stayOrThrow(context, error)
  }
}

/** Opens the database, and begins to connect to it. */
async function open(context: ServiceContext): Promise<{ database: Database; first: FirstSession }> {
  const { config, log, state, readiness } = context
  const { signal } = context.ending
  const database = await openDatabase(config, { log, signal })
  state.database = database
  const onWait = (detail: string) =>
    readiness.set({ ready: false, reason: 'waiting_for_database', detail })
  return { database, first: openFirstSession({ config, database, log, signal, onWait }) }
}

async function prepareReset(context: ServiceContext, database: Database): Promise<ProvisionHooks> {
  const { config, log, state, readiness, observation, drift } = context
  // A start that is refused leaves the mark as it is.
  if (!config.resetEnabled) {
    if (config.seedsDir !== undefined) {
      const where = lends(config) ? 'seeds run in test databases only' : 'seeds are ignored'
      log.info({ seedsDir: config.seedsDir }, `${where}, since RESET_ENABLED is false`)
    }
    const unmarking = { beforeMigrating: (client: Client) => unmarkDisposable(client, log) }
    return combineHooks(unmarking, drift.recording)
  }
  // A third of the service's modules, which a start without reset does not load.
  const { openReset } = await import('./reset.ts')
  const { resetter, hooks } = openReset({
    ...{ config, database, readiness, log, signal: context.ending.signal },
    ...{ onEvent: observation.onEvent, recording: drift.recording },
    onMigrated: async (applied, optionalSchema) => {
      state.testDatabases?.use({ applied, optionalSchema, version: SERVICE.version })
      await state.watch?.expect(applied)
    },
  })
  state.resetter = resetter
  return combineHooks(hooks, drift.recording)
}
