import type { OnEvent, ServiceEvent } from './events.ts'
import type { MetricsSources, MetricsText, Recorder } from './metrics/recorder.ts'

export type { MetricsText } from './metrics/recorder.ts'

export interface Metrics {
  readonly onEvent: OnEvent
  /** Writes all metrics in Prometheus's text format, from memory: a scrape never waits for the database. */
  readonly read: () => Promise<MetricsText>
}

/** More than any start reports; a service that nothing scrapes must not keep them for ever. */
const MAX_KEPT_EVENTS = 1000

/**
 * Creates the metrics. prom-client is loaded by the first scrape, because it would delay the start; the
 * events before that are kept for it.
 */
export function createMetrics(sources: MetricsSources): Metrics {
  let recorder: Recorder | undefined
  let loading: Promise<Recorder> | undefined
  let kept: ServiceEvent[] = []

  async function load(): Promise<Recorder> {
    const { createRecorder } = await import('./metrics/recorder.ts')
    const created = createRecorder(sources)
    for (const event of kept) created.record(event)
    kept = []
    recorder = created
    return created
  }

  const ensureLoaded = () => {
    loading ??= load()
    return loading
  }

  return {
    onEvent(event) {
      if (recorder !== undefined) {
        recorder.record(event)
        return
      }
      kept.push(event)
      if (kept.length === MAX_KEPT_EVENTS) void ensureLoaded().catch(() => {})
    },
    read: async () => (await ensureLoaded()).read(),
  }
}
