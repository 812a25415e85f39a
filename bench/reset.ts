// npm run bench:reset -- [--rounds=40] [--large=5] [--cycles=500] [--tables=10,100,1000] [--write]
// DATABASE_URL names a server to measure instead of an embedded one (databases are made there).
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { median, replaceSection, toTable } from './report.ts'
import { DIRT, makeTables, type Scenario, soilTables } from './reset-dirt.ts'
import { createFloor } from './reset-parts.ts'
import { openSubject } from './reset-subject.ts'
import {
  cloneTemplate,
  createAgain,
  deleteEverything,
  readContent,
  resetByTool,
  truncateAndSeed,
  truncateAsRespawn,
} from './reset-ways.ts'
import { openBenchServer } from './server.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    large: { type: 'string', default: '5' },
    cycles: { type: 'string', default: '500' },
    tables: { type: 'string', default: '10,100,1000' },
    write: { type: 'boolean', default: false },
  },
})
const tableCounts = values.tables.split(',').map(Number)

/** Medians in milliseconds, by way. */
type Medians = Readonly<Record<string, number>>
type Way = () => Promise<unknown>

const server = await openBenchServer(process.env.DATABASE_URL)
const clients: pg.Client[] = []
try {
  const floor = await createFloor(await connect(await server.createEmpty('bench_reset_floor')))
  // First: many rows and many tables keep the disk and autovacuum busy for a while.
  const parts = await measureParts(floor)
  const scenarios = await measureScenarios(floor)
  const sizes = await measureSizes()
  const cycles = await measureCycles(Number(values.cycles))
  const report = describe({ scenarios, sizes, cycles, parts })
  console.log(report)
  if (values.write) {
    const part = process.env.DATABASE_URL === undefined ? 'bench:reset' : 'bench:reset-given'
    replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), part, report)
  }
} finally {
  for (const client of clients) await client.end()
  await server.close()
}

/** What a small reset consists of, from the inside out. */
async function measureParts(floor: Way): Promise<Medians> {
  const name = 'bench_reset_parts'
  const url = await server.createMigrated(name)
  const client = await connect(url)
  const subject = await openSubject(url, name)
  const rounds = Number(values.rounds)
  const inside = await subject.measureInside(DIRT.small, rounds)
  await subject.reset()
  const ways = {
    'a commit, over the wire': floor,
    ...subject.parts,
    '+ fetch instead of node:http': subject.resetOverHttp,
  }
  const found = await interleave(ways, rounds, { before: () => client.query(DIRT.small) })
  await subject.close()
  return {
    'a commit, inside the server': median(inside.commit),
    'the function, inside the server': median(inside.reset),
    ...found,
  }
}

async function measureScenarios(floor: Way): Promise<Map<Scenario, Medians>> {
  const name = 'bench_reset'
  const url = await server.createMigrated(name)
  const client = await connect(url)
  const content = await readContent(client)
  const subject = await openSubject(url, name)
  const medians = new Map<Scenario, Medians>()
  for (const scenario of Object.keys(DIRT) as Scenario[]) {
    const isLarge = scenario === '400,000 rows'
    const inPlace: Record<string, Way> = {
      'bare commit': floor,
      reset: subject.reset,
      'reset over HTTP': subject.resetOverHttp,
      'truncate everything, seed again': () => client.query(truncateAndSeed(content)),
      'truncate as Respawn (seeds lost)': () => client.query(truncateAsRespawn(content)),
      'delete everything, seed again': () => client.query(deleteEverything(content)),
    }
    const rounds = Number(isLarge ? values.large : values.rounds)
    const found = await interleave(inPlace, rounds, {
      before: () => client.query(DIRT[scenario]),
      after: subject.reset,
    })
    medians.set(scenario, found)
  }
  await subject.close()
  // Last: copying databases keeps the disk busy for a while after it.
  const slow = await interleave(await createPeers(url), Number(values.large), {})
  medians.set('small', { ...medians.get('small'), ...slow })
  return medians
}

/** The ways that take the database away: in one of their own, which nobody is connected to. */
async function createPeers(url: string): Promise<Record<string, Way>> {
  const template = 'bench_reset_template'
  const name = 'bench_reset_peer'
  await server.createMigrated(template)
  const peerUrl = await server.createEmpty(name)
  const rootUrl = new URL(url)
  rootUrl.pathname = '/postgres'
  const admin = await connect(rootUrl.href)
  const open = async () => {
    const client = new pg.Client({ connectionString: peerUrl })
    await client.connect()
    return client
  }
  return {
    'drop, clone a template': () => cloneTemplate(admin, name, template),
    'drop, create, run the SQL': () => createAgain(admin, name, open),
    'graphile-migrate reset': () => resetByTool(peerUrl, rootUrl.href),
  }
}

/** Resets and truncates databases of many tables. */
async function measureSizes(): Promise<Map<number, Medians>> {
  const medians = new Map<number, Medians>()
  for (const count of tableCounts) {
    const name = `bench_reset_${count}`
    const url = await server.createEmpty(name)
    const client = await connect(url)
    await client.query(makeTables(count))
    const content = await readContent(client)
    const subject = await openSubject(url, name)
    const startedAt = performance.now()
    await subject.reset()
    const firstMs = performance.now() - startedAt
    const ways = {
      reset: subject.reset,
      'truncate everything': () => client.query(truncateAndSeed(content)),
    }
    const found = await interleave(ways, count < 1000 ? 15 : 7, {
      before: () => client.query(soilTables(count)),
      after: subject.reset,
    })
    medians.set(count, { first: firstMs, ...found })
    await subject.close()
  }
  return medians
}

/** Dirt and reset, again and again: whether it gets slower with time. */
async function measureCycles(cycles: number): Promise<{ first: number; last: number }> {
  const name = 'bench_reset_cycles'
  const url = await server.createMigrated(name)
  const client = await connect(url)
  const subject = await openSubject(url, name)
  const durations: number[] = []
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    await client.query(DIRT.small)
    durations.push(await time(subject.reset))
  }
  await subject.close()
  const part = Math.max(1, Math.floor(cycles / 10))
  return { first: median(durations.slice(1, part + 1)), last: median(durations.slice(-part)) }
}

interface Around {
  readonly before?: Way
  readonly after?: Way
}

/** Takes turns, each time in another order's place, so that whatever disturbs disturbs all alike. */
async function interleave(
  ways: Readonly<Record<string, Way>>,
  rounds: number,
  { before = async () => {}, after = async () => {} }: Around,
): Promise<Medians> {
  const names = Object.keys(ways)
  const durations = new Map<string, number[]>(names.map((name) => [name, []]))
  for (let round = -1; round < rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round + names.length) % names.length] ?? ''
      await before()
      const durationMs = await time(ways[name] ?? before)
      // The first round warms plans and caches.
      if (round >= 0) durations.get(name)?.push(durationMs)
      await after()
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(durations.get(name) ?? [])]))
}

async function time(way: Way): Promise<number> {
  const startedAt = performance.now()
  await way()
  return performance.now() - startedAt
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  clients.push(client)
  return client
}

interface Found {
  readonly scenarios: Map<Scenario, Medians>
  readonly sizes: Map<number, Medians>
  readonly cycles: { readonly first: number; readonly last: number }
  readonly parts: Medians
}

function describe({ scenarios, sizes, cycles, parts }: Found): string {
  const names = [...scenarios.keys()]
  const ways = Object.keys(scenarios.get('small') ?? {})
  const format = (value: number | undefined) => (value === undefined ? '' : value.toFixed(2))
  const of = (scenario: Scenario, way: string) => scenarios.get(scenario)?.[way]
  const times = (scenario: Scenario) => ratio(of(scenario, 'reset'), of(scenario, 'bare commit'))
  const truncating = 'truncate everything, seed again'
  const thousand = sizes.get(1000)
  const targets = [
    ['small, times a bare commit', times('small'), 5, 'at most'],
    [
      'small, times faster than truncating',
      ratio(of('small', truncating), of('small', 'reset')),
      20,
      'at least',
    ],
    ['with a queue made since, times a bare commit', times('small and a queue'), 10, 'at most'],
    [
      'small over HTTP, times a bare commit over the wire',
      ratio(parts['+ HTTP, with node:http'], parts['a commit, over the wire']),
      6,
      'at most',
    ],
    [
      'small, inside the server, times a commit there',
      ratio(parts['the function, inside the server'], parts['a commit, inside the server']),
      3.5,
      'at most',
    ],
    ['clean, times a bare commit', times('clean'), 4, 'at most'],
    [
      '400,000 rows, of truncating',
      ratio(of('400,000 rows', 'reset'), of('400,000 rows', truncating)),
      0.5,
      'at most',
    ],
    [
      '1,000 tables, of truncating',
      ratio(thousand?.reset, thousand?.['truncate everything']),
      0.03,
      'at most',
    ],
  ] as const
  return [
    `PostgreSQL ${server.version}, ${cpus().length} × ${cpus()[0]?.model}; medians of ${values.rounds} ` +
      `interleaved rounds (400,000 rows and what takes the database away: ${values.large}), in ms.`,
    toTable(
      ['way', ...names],
      ways.map((way) => [way, ...names.map((scenario) => format(of(scenario, way)))]),
    ),
    toTable(
      ['tables', 'reset', 'first reset', 'truncate everything'],
      [...sizes].map(([count, found]) => [
        String(count),
        format(found.reset),
        format(found.first),
        format(found['truncate everything']),
      ]),
    ),
    toTable(
      ['a small reset, from the inside out', 'ms'],
      Object.entries(parts).map(([part, ms]) => [part, format(ms)]),
    ),
    `${values.cycles} cycles of small: ${format(cycles.first)} ms at the beginning, ${format(cycles.last)} ms at the end.`,
    toTable(
      ['target', 'found', 'wanted', 'met'],
      targets.map(([what, found, wanted, bound]) => [
        what,
        Number.isNaN(found) ? '-' : found.toFixed(3),
        `${bound} ${wanted}`,
        Number.isNaN(found)
          ? '-'
          : (bound === 'at most' ? found <= wanted : found >= wanted)
            ? 'yes'
            : 'NO',
      ]),
    ),
  ].join('\n\n')
}

function ratio(value: number | undefined, other: number | undefined): number {
  return (value ?? Number.NaN) / (other ?? Number.NaN)
}
