import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import { maskTexts } from '../config/redact.ts'
import { endConnectionsOnClose } from './drain.ts'
import {
  answerFrameworkError,
  answerMalformedRequest,
  setErrorHandlers,
} from './plugins/error-handler.ts'
import { livezRoute } from './routes/livez.ts'
import { type ReadyzOptions, readyzRoute } from './routes/readyz.ts'
import { type ResetRouteOptions, resetRoute } from './routes/reset.ts'
import { type StatusOptions, statusRoute } from './routes/status.ts'
import { lazyCompilers } from './validation.ts'

export interface AppDeps extends ReadyzOptions, StatusOptions {
  readonly log: FastifyBaseLogger
  /** Removes secrets from every response: what a migration or PostgreSQL reports may contain one. */
  readonly mask: (text: string) => string
  /** Undefined where RESET_ENABLED is not true: the route does not exist then. */
  readonly reset?: ResetRouteOptions | undefined
}

/** Creates the HTTP side of the service: the list of its routes, and one answer to every error. */
export function createApp({ log, mask, readiness, readStatus, reset }: AppDeps): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    // Probes come every second; what matters about them is in their answers.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    requestTimeout: 30_000,
    keepAliveTimeout: 5000,
    // A probe on a kept connection gets our `stopping` rather than Fastify's own 503.
    return503OnClosing: false,
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerMalformedRequest,
    schemaController: { compilersFactory: lazyCompilers },
  })
  setErrorHandlers(app)
  endConnectionsOnClose(app)
  app.addHook('preSerialization', async (_request, _reply, payload) => maskTexts(payload, mask))

  app.register(livezRoute)
  app.register(readyzRoute, { readiness })
  app.register(statusRoute, { readStatus })
  if (reset !== undefined) app.register(resetRoute, reset)
  return app
}
