import type { MetricsText } from '../../metrics.ts'
import { metricsSchema } from '../schemas/metrics.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface MetricsOptions {
  readonly readMetrics: () => Promise<MetricsText>
}

/** What Prometheus scrapes; answers in every state, and never touches the database. */
export const metricsRoute: RoutePlugin<MetricsOptions> = async (app, { readMetrics }) => {
  app.get('/metrics', { schema: metricsSchema }, async (_request, reply) => {
    const { contentType, text } = await readMetrics()
    reply.header('cache-control', 'no-store')
    return reply.type(contentType).send(text)
  })
}
