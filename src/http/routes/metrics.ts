import type { MetricsText } from '../../metrics.ts'
import { metricsSchema } from '../schemas/metrics.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface MetricsOptions {
  readonly readMetrics: () => Promise<MetricsText>
}

/** More scrapes than Prometheus makes: the others get the last answer, so that a flood keeps no probe waiting. */
const MAX_READS_PER_SECOND = 10

/** What Prometheus scrapes; answers in every state, and never touches the database. */
export const metricsRoute: RoutePlugin<MetricsOptions> = async (app, { readMetrics }) => {
  let last: Promise<MetricsText> | undefined
  let [windowStart, reads] = [Number.NEGATIVE_INFINITY, 0]

  app.get('/metrics', { schema: metricsSchema }, async (_request, reply) => {
    const now = performance.now()
    if (now - windowStart >= 1000) [windowStart, reads] = [now, 0]
    if (last === undefined || ++reads <= MAX_READS_PER_SECOND) last = readMetrics()
    const { contentType, text } = await last
    reply.header('cache-control', 'no-store')
    return reply.type(contentType).send(text)
  })
}
