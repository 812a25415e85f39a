import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

/** A span as OTLP writes it in JSON. */
export interface Span {
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly events?: readonly { readonly name: string; readonly attributes: readonly Attribute[] }[]
  readonly status: { readonly code?: number; readonly message?: string }
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

/** A collector of traces that keeps what it gets, and may be silent. */
export interface Collector {
  readonly endpoint: string
  readonly spans: readonly Span[]
  /** How many requests have begun. */
  readonly requests: number
}

interface Teardown {
  teardown(work: () => void): unknown
}

export async function openCollector(t: Teardown, { isSilent = false } = {}): Promise<Collector> {
  const spans: Span[] = []
  let requests = 0
  const server = createServer(async (request, response) => {
    requests++
    if (isSilent) return
    if (request.url !== '/v1/traces') return response.writeHead(404).end()
    // biome-ignore lint/suspicious/noExplicitAny: what arrives is looked at by the tests.
    const body = (await json(request)) as any
    for (const { scopeSpans } of body.resourceSpans) {
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    spans,
    get requests() {
      return requests
    },
  }
}

/** The attributes by name, as plain values. */
export function plainAttributes(
  attributes: readonly Attribute[] = [],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
