import type { Config } from '../config/config.ts'
import type { OnEvent } from '../events.ts'
import type { Log } from '../logger.ts'
import type { MetricsSources } from '../metrics/recorder.ts'
import { createMetrics, type Metrics } from '../metrics.ts'
import { createStartTrace } from '../traces.ts'

export interface ObservationOptions {
  readonly config: Pick<Config, 'otlpEndpoint' | 'shutdownMs'>
  readonly startedAt: Date
  /** What the metrics read when they are scraped. */
  readonly sources: MetricsSources
  readonly mask: (text: string) => string
  readonly log: Log
}

/** What watches the service: its metrics, and where a collector is given, the trace of the start. */
export interface Observation {
  readonly metrics: Metrics
  readonly onEvent: OnEvent
  /** Waits until the trace is sent, but not for long. */
  close(): Promise<void>
}

const MAX_CLOSE_MS = 1000

export function createObservation(options: ObservationOptions): Observation {
  const { config, startedAt, sources, mask, log } = options
  const metrics = createMetrics(sources)
  const { otlpEndpoint: endpoint, shutdownMs } = config
  if (endpoint === undefined) return { metrics, onEvent: metrics.onEvent, close: async () => {} }
  const closeMs = Math.min(MAX_CLOSE_MS, shutdownMs / 4)
  const trace = createStartTrace({ endpoint, startedAt, mask, log, closeMs })
  return {
    metrics,
    onEvent(event) {
      metrics.onEvent(event)
      trace.onEvent(event)
    },
    close: trace.close,
  }
}
