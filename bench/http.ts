// Measures how many requests a second the readiness probe answers under load, beside a static route of the
// same app, and beside the probe of an app that counts no requests. The ways are measured in short turns,
// over real connections, by autocannon in a process of its own, and compared round by round. A second static
// route, which differs from the first in nothing, shows how far two equal routes are apart on this machine:
//
//   npm run bench:http -- [--rounds 30] [--seconds 1] [--connections 10] [--write]
//
// --write puts the tables into docs/internals/benchmarks.md.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { createApp } from '../src/http/app.ts'
import { createMetrics } from '../src/metrics.ts'
import { createReadiness } from '../src/readiness.ts'
import type { Load, Loaded } from './http-load.ts'
import { median, replaceSection, toTable } from './report.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seconds: { type: 'string', default: '1' },
    connections: { type: 'string', default: '10' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const connections = Number(values.connections)
/** Of the static route's requests a second: the limit in the issue. */
const LIMIT = 0.95

interface Way {
  readonly name: string
  readonly url: string
  readonly rates: number[]
  readonly slowestMs: number[]
  /** The server's processor time of a request. */
  readonly cpuUs: number[]
}

const counting = await listen({ isCounting: true })
const silent = await listen({ isCounting: false })
const loader = fork(new URL('./http-load.ts', import.meta.url), {
  execArgv: ['--import', 'tsx'],
  env: { PATH: process.env.PATH },
})
const createWay = (name: string, url: string): Way => ({
  ...{ name, url, rates: [], slowestMs: [], cpuUs: [] },
})
const fixed = createWay('static route', `${counting.address}/static`)
const control = createWay('another static route', `${counting.address}/other`)
const readyz = createWay('`/readyz`', `${counting.address}/readyz`)
const uncounted = createWay('`/readyz`, requests not counted', `${silent.address}/readyz`)
const ways = [fixed, readyz, control, uncounted]

try {
  // From here on prom-client counts, as in a service that is scraped.
  await fetch(`${counting.address}/metrics`)
  for (const way of ways) await measure({ ...way, rates: [], slowestMs: [], cpuUs: [] })
  for (let round = 0; round < rounds; round++) {
    // In any order, because the place in a round, and which way came before, make a difference of a few percent.
    for (const way of shuffle(ways)) await measure(way)
  }
} finally {
  loader.kill()
  await Promise.all([counting.app.close(), silent.app.close()])
}

const report =
  `${rounds} interleaved rounds of ${seconds} s with ${connections} connections, medians, ratios of the same ` +
  `round; Node.js ${process.version}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}.\n\n${describe()}`
console.log(report)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'bench:http', report)
}

function shuffle<T>(values: readonly T[]): T[] {
  const keyed = values.map((value) => ({ value, key: Math.random() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value)
}

async function measure({ url, rates, slowestMs, cpuUs }: Way): Promise<void> {
  const before = process.cpuUsage()
  loader.send({ url, connections, seconds } satisfies Load)
  const [loaded] = (await once(loader, 'message')) as [Loaded]
  const { user, system } = process.cpuUsage(before)
  if (loaded.failed > 0) throw new Error(`${url}: ${loaded.failed} requests failed`)
  rates.push((loaded.requests / loaded.durationMs) * 1000)
  slowestMs.push(loaded.slowestMs)
  cpuUs.push((user + system) / loaded.requests)
}

function describe(): string {
  const ratio = (of: readonly number[], to: readonly number[]) =>
    median(of.map((value, round) => value / (to[round] ?? Number.NaN)))
  const table = toTable(
    ['', 'requests/s', 'of the static route', '99 %, ms', 'least CPU, µs a request'],
    ways.map((way) => [
      way.name,
      median(way.rates).toFixed(0),
      ratio(way.rates, fixed.rates).toFixed(3),
      median(way.slowestMs).toFixed(1),
      // What else runs on the machine only adds to it.
      Math.min(...way.cpuUs).toFixed(1),
    ]),
  )
  const found = ratio(readyz.rates, fixed.rates)
  const target = toTable(
    ['target', 'found', 'wanted', 'met'],
    [
      [
        '`/readyz`, requests/s of the static route',
        ...[found.toFixed(3), `at least ${LIMIT}`, found >= LIMIT ? 'yes' : 'NO'],
      ],
    ],
  )
  return `${table}\n\n${target}`
}

/** The HTTP side of a service that is ready, with two routes that answer the same without looking. */
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
  for (const url of ['/static', '/other']) app.get(url, async () => ({ status: 'ready' }))
  return { app, address: await app.listen({ host: '127.0.0.1', port: 0 }) }
}
