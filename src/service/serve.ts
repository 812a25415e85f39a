import type { FastifyInstance } from 'fastify'
import type { DatabasesRouteOptions } from '../http/routes/databases.ts'
import type { ResetRouteOptions } from '../http/routes/reset.ts'
import type { WebServer } from '../http/web-server.ts'
import { assertNotAhead, assertReady, assertReadyForReset } from '../reset/assert-ready.ts'
import { createOverviewReader } from '../status/overview.ts'
import { lends, type ServiceContext } from './context.ts'

/**
 * Opens the port; rejects where it is in use. The app is made when a request or the service asks for it: until
 * then the process has better things to do.
 */
export async function serve(context: ServiceContext): Promise<void> {
  const { config, log, state, ending } = context
  const { metrics } = context.observation
  // Imported only here: a run that migrates once opens no port.
  const { createWebServer } = await import('../http/web-server.ts')
  const { listen } = await import('../http/listen.ts')
  let app: Promise<FastifyInstance> | undefined
  const prepareApp = () => {
    if (app === undefined) {
      app = makeApp(context, web)
      app.catch(ending.fail)
    }
    return app
  }
  const web = createWebServer({ onEvent: metrics.onEvent, prepareApp })
  await listen(web.server, config, log)
  state.http = {
    prepareApp,
    async close() {
      web.drain()
      const closed = new Promise((resolve) => web.server.close(resolve))
      // One that could not be made was reported.
      const made = await app?.catch(() => undefined)
      await made?.close()
      web.server.closeIdleConnections()
      await closed
    },
  }
  // A stop that came before had nothing to close.
  if (ending.signal.aborted) await state.http.close()
}

async function makeApp(context: ServiceContext, web: WebServer): Promise<FastifyInstance> {
  const { config, log, state, readiness, readStatus, mask } = context
  const { metrics } = context.observation
  const { createApp } = await import('../http/app.ts')
  const app = createApp({
    web,
    log,
    hosts: config,
    mask,
    readiness,
    readStatus,
    readOverview: createOverviewReader({ readiness, database: () => state.database }),
    readMetrics: metrics.read,
    onEvent: metrics.onEvent,
    apiDocsFolder: new URL('./api-docs/', import.meta.url),
    reset: config.resetEnabled ? createResetRouteOptions(context) : undefined,
    databases: lends(config) ? createDatabasesRouteOptions(context) : undefined,
  })
  await app.ready()
  return app
}

function createResetRouteOptions(context: ServiceContext): ResetRouteOptions {
  const { config, state, readiness, drift } = context
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

function createDatabasesRouteOptions(context: ServiceContext): DatabasesRouteOptions {
  const { config, state, readiness } = context
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
