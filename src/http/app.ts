import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import { maskTexts } from '../config/redact.ts'
import { answerFrameworkError, setErrorHandlers } from './plugins/error-handler.ts'
import { checkHosts, type HostSettings } from './plugins/hosts.ts'
import { observeRequests, type RequestObserver } from './plugins/observe-requests.ts'
import { createRequestId, returnRequestIds } from './plugins/request-id.ts'
import { type ApiDocsOptions, apiDocsRoutes } from './routes/api-docs.ts'
import { type DatabasesRouteOptions, databasesRoute } from './routes/databases.ts'
import { livezRoute } from './routes/livez.ts'
import { type MetricsOptions, metricsRoute } from './routes/metrics.ts'
import { type PageOptions, pageRoute } from './routes/page.ts'
import { type ReadyzOptions, readyzRoute } from './routes/readyz.ts'
import { type ResetRouteOptions, resetRoute } from './routes/reset.ts'
import { type StatusOptions, statusRoute } from './routes/status.ts'
import { lazyCompilers } from './validation.ts'
import { createWebServer, type WebServer } from './web-server.ts'

export interface AppDeps
  extends ReadyzOptions,
    StatusOptions,
    PageOptions,
    MetricsOptions,
    ApiDocsOptions {
  readonly log: FastifyBaseLogger
  /** The names that requests may be addressed to. */
  readonly hosts: HostSettings
  /** Removes secrets from every response: what a migration or PostgreSQL reports may contain one. */
  readonly mask: (text: string) => string
  /** Receives every request that was answered. */
  readonly onEvent?: RequestObserver | undefined
  /** What the app answers for; it may listen already. Default: it gets one. */
  readonly web?: WebServer | undefined
  /** Undefined where RESET_ENABLED is not true: the route does not exist then. */
  readonly reset?: ResetRouteOptions | undefined
  /** Undefined where TEST_DATABASES_MAX is 0. */
  readonly databases?: DatabasesRouteOptions | undefined
}

/** Creates the HTTP side of the service: the list of its routes, and one answer to every error. */
export function createApp(deps: AppDeps): FastifyInstance {
  const { log, hosts, mask, readiness, readStatus, readOverview, readMetrics } = deps
  const { onEvent, reset, apiDocsFolder } = deps
  const web = deps.web ?? createWebServer({ onEvent })
  const app = fastify({
    serverFactory: web.use,
    loggerInstance: log,
    // Probes come every second; what matters about them is in their answers.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: createRequestId,
    bodyLimit: 64 * 1024,
    // A name that is too long is like any other that does not exist. Node.js limits the whole request line.
    routerOptions: { maxParamLength: 64 * 1024 },
    // A probe on a kept connection gets our `stopping` rather than Fastify's own 503.
    return503OnClosing: false,
    frameworkErrors: answerFrameworkError,
    // The web server has answered already.
    clientErrorHandler: () => {},
    schemaController: { compilersFactory: lazyCompilers },
  })
  returnRequestIds(app)
  if (onEvent !== undefined) observeRequests(app, onEvent)
  checkHosts(app, hosts)
  setErrorHandlers(app)
  app.addHook('preClose', async () => web.drain())
  app.addHook('preSerialization', async (_request, _reply, payload) => maskTexts(payload, mask))

  app.register(livezRoute)
  app.register(readyzRoute, { readiness })
  app.register(statusRoute, { readStatus, mask })
  app.register(pageRoute, { readiness, readStatus, readOverview, mask })
  app.register(metricsRoute, { readMetrics })
  app.register(apiDocsRoutes, { apiDocsFolder })
  if (reset !== undefined) app.register(resetRoute, reset)
  if (deps.databases !== undefined) app.register(databasesRoute, deps.databases)
  return app
}
