// npm run bench:batch -- [--rounds=5] [--commands=20000] [--connections=1,8,16] [--write]
// DATABASE_URL names a server to measure instead of an embedded one (databases are made there).
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { type Layout, measure } from './batch-load.ts'
import { median, replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

interface Variant {
  readonly name: string
  readonly url: string
  readonly layout: Layout
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    commands: { type: 'string', default: '20000' },
    connections: { type: 'string', default: '1,8,16' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const commands = Number(values.commands)
const connectionCounts = values.connections.split(',').map(Number)
if (commands % 200 !== 0) throw new Error('--commands is to be a multiple of 200')

const server = await openBenchServer(process.env.DATABASE_URL)
try {
  const url = await server.createMigrated('bench_batch')
  const straightforwardUrl = await server.createMigrated('bench_straightforward')
  await runFile(straightforwardUrl, new URL('straightforward.sql', import.meta.url))
  const variants: Variant[] = [
    { name: 'no batch', url, layout: 'no batch' },
    { name: '200 batches', url, layout: '200 batches' },
    { name: 'one batch', url, layout: 'one batch' },
    { name: 'one batch, straightforward', url: straightforwardUrl, layout: 'one batch' },
  ]
  const report = describe(await runRounds(variants), variants)
  console.log(`\n${report}`)
  if (values.write) {
    replaceSection(
      new URL('../docs/internals/benchmarks.md', import.meta.url),
      'bench:batch',
      report,
    )
  }
} finally {
  await server.close()
}

/** Rates by connections and variant, one a round. What is compared runs side by side. */
async function runRounds(variants: readonly Variant[]): Promise<Map<string, number[]>> {
  const rates = new Map<string, number[]>()
  for (let round = 0; round < rounds; round++) {
    for (const connections of connectionCounts) {
      // Each round begins with another one: being first is not always the same one's luck.
      for (let turn = 0; turn < variants.length; turn++) {
        const variant = variants[(turn + round) % variants.length] as Variant
        const rate = await measure(variant.url, { ...variant, commands, connections })
        const key = keyOf(connections, variant.name)
        rates.set(key, [...(rates.get(key) ?? []), rate])
        const place = `round ${round + 1} of ${rounds}, ${connections} connections`
        console.log(`${place}, ${variant.name}: ${rate.toFixed(0)}/s`)
      }
    }
  }
  return rates
}

function describe(rates: ReadonlyMap<string, number[]>, variants: readonly Variant[]): string {
  const names = variants.map((variant) => variant.name)
  const lines = connectionCounts.map((connections) => {
    const [none = 0, many = 0, one = 0, straightforward = 0] = names.map((name) =>
      median(rates.get(keyOf(connections, name)) ?? []),
    )
    return [
      String(connections),
      ...[none, many, one, straightforward].map((rate) => rate.toFixed(0)),
      ...[one / many, one / none, one / straightforward].map((ratio) => ratio.toFixed(2)),
    ]
  })
  const [cpu] = cpus()
  return [
    `Commands received and finished a second, median of ${rounds} interleaved rounds of ` +
      `${commands} commands; PostgreSQL ${server.version} with its default settings and Node.js ` +
      `${process.version} on the same ${cpus().length} cores (${cpu?.model.trim()}), ` +
      `${new Date().toISOString().slice(0, 10)}.`,
    '',
    toTable(['connections', ...names, 'one : 200', 'one : none', 'one : straightforward'], lines),
  ].join('\n')
}

function keyOf(connections: number, name: string): string {
  return `${connections} ${name}`
}

async function runFile(url: string, file: URL): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(readFileSync(file, 'utf8'))
  await client.end()
}
