// Measures how many requests a second the readiness probe answers under load, beside a static route of the
// same app, and beside the probe of an app that counts no requests. The ways are measured in turns, over
// real connections, by autocannon in a thread of its own:
//
//   npm run bench:http -- [--rounds 9] [--seconds 5] [--connections 10] [--write]
//
// --write puts the table into docs/internals/benchmarks.md.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import pino from 'pino'
import { createApp } from '../src/http/app.ts'
import { createMetrics } from '../src/metrics.ts'
import { createReadiness } from '../src/readiness.ts'
import { median, replaceSection, toTable } from './report.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '10' },
    write: { type: 'boolean', default: false },
  },
})
const duration = Number(values.seconds)
const connections = Number(values.connections)

interface Way {
  readonly name: string
  readonly url: string
  readonly rates: number[]
  readonly slowestMs: number[]
}

const counting = await listen({ isCounting: true })
const silent = await listen({ isCounting: false })
const createWay = (name: string, url: string): Way => ({ name, url, rates: [], slowestMs: [] })
const readyz = createWay('`/readyz`', `${counting.address}/readyz`)
const fixed = createWay('static route', `${counting.address}/static`)
const uncounted = createWay('`/readyz`, requests not counted', `${silent.address}/readyz`)
const ways = [readyz, fixed, uncounted]

try {
  // From here on prom-client counts, as in a service that is scraped.
  await fetch(`${counting.address}/metrics`)
  for (const { url } of ways) await autocannon({ url, connections, duration: 1, workers: 1 })
  for (let round = 0; round < Number(values.rounds); round++) {
    // Alternating, because the position in a round alone makes a difference of a few percent.
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const { requests, latency, non2xx, errors } = await autocannon({
        ...{ url: way.url, connections, duration, workers: 1 },
      })
      if (non2xx + errors > 0) throw new Error(`${way.url}: ${non2xx + errors} requests failed`)
      way.rates.push(requests.average)
      way.slowestMs.push(latency.p99)
    }
  }
} finally {
  await Promise.all([counting.app.close(), silent.app.close()])
}

const ratioOf = (way: Way) =>
  median(way.rates.map((rate, round) => rate / (fixed.rates[round] ?? Number.NaN)))
const table = toTable(
  ['', 'requests/s', 'of the static route', '99 %, ms'],
  ways.map((way) => [
    way.name,
    median(way.rates).toFixed(0),
    ratioOf(way).toFixed(3),
    median(way.slowestMs).toFixed(1),
  ]),
)
const report =
  `${values.rounds} interleaved rounds of ${duration} s with ${connections} connections, medians; ` +
  `Node.js ${process.version}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}.\n\n${table}`
console.log(report)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'bench:http', report)
}

/** The HTTP side of a service that is ready, with a route that answers the same without looking. */
async function listen({ isCounting }: { readonly isCounting: boolean }) {
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const metrics = createMetrics({ readiness, pool: () => undefined })
  const app = createApp({
    log: pino({ level: 'silent' }),
    hosts: { host: '127.0.0.1', allowedHosts: [] },
    mask: (text) => text,
    readiness,
    readStatus: () => Promise.reject(new Error('not measured')),
    readOverview: async () => ({ schemas: [] }),
    readMetrics: metrics.read,
    onEvent: isCounting ? metrics.onEvent : undefined,
    apiDocsFolder: new URL('../dist/src/api-docs/', import.meta.url),
  })
  app.get('/static', async () => ({ status: 'ready' }))
  return { app, address: await app.listen({ host: '127.0.0.1', port: 0 }) }
}
