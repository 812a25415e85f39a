import { type Attributes, SpanStatusCode } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { type ReadableSpan, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { SERVICE } from '../version.ts'

/** What is known of a start once it is over. */
export interface StartFacts {
  readonly startedAt: Date
  readonly endedAt: Date
  /** Those that this start applied. */
  readonly migrations: readonly {
    readonly filename: string
    readonly durationMs: number
    /** When it was applied. */
    readonly at: Date
  }[]
  readonly outcome:
    | { readonly kind: 'ready' | 'stopped' }
    | { readonly kind: 'failed'; readonly code: string; readonly message: string }
}

const SEND_MS = 10_000

/** Sends a start as one span to a collector, by OTLP over HTTP; rejects if the collector does not take it. */
export async function sendStart(endpoint: string, start: StartFacts): Promise<void> {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: SEND_MS,
  })
  const spans = createSpans(start)
  try {
    await new Promise<void>((resolve, reject) => {
      exporter.export(spans, ({ code, error }) => {
        // 0 is success; the enumeration is in a package of its own.
        if (code === 0) resolve()
        else reject(error ?? new Error('the collector did not take it'))
      })
    })
  } finally {
    await exporter.shutdown()
  }
}

function createSpans({ startedAt, endedAt, migrations, outcome }: StartFacts): ReadableSpan[] {
  const spans: ReadableSpan[] = []
  const collector: SpanProcessor = {
    onStart() {},
    onEnd: (span) => void spans.push(span),
    forceFlush: async () => {},
    shutdown: async () => {},
  }
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': SERVICE.name,
      'service.version': SERVICE.version,
    }),
    // Otherwise the first of more than 128 migrations would be missing.
    spanLimits: { eventCountLimit: Math.max(1, migrations.length) },
    spanProcessors: [collector],
  })
  const span = provider.getTracer(SERVICE.name, SERVICE.version).startSpan('start', {
    root: true,
    startTime: startedAt,
    attributes: describeOutcome(outcome, migrations.length),
  })
  for (const { filename, durationMs, at } of migrations) {
    const attributes = {
      'commandbus_db.migration.filename': filename,
      'commandbus_db.migration.duration_ms': durationMs,
    }
    span.addEvent('migration applied', attributes, at)
  }
  if (outcome.kind === 'failed') {
    span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.message })
  } else if (outcome.kind === 'ready') {
    span.setStatus({ code: SpanStatusCode.OK })
  }
  span.end(endedAt)
  return spans
}

function describeOutcome(outcome: StartFacts['outcome'], applied: number): Attributes {
  return {
    'db.system.name': 'postgresql',
    'commandbus_db.start.outcome': outcome.kind,
    'commandbus_db.start.migrations_applied': applied,
    ...(outcome.kind === 'failed' && { 'error.type': outcome.code }),
  }
}
