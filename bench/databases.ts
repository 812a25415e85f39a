// npm run bench:databases -- [--seconds=10] [--rounds=3] [--workers=4,16] [--write]
// DATABASE_URL names a server to measure instead of an embedded one. With INTEGRESQL_URL, an IntegreSQL
// that uses this server is measured, too.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { createByHand, createOurs, type Subject } from './databases-subjects.ts'
import { createIntegresql } from './integresql.ts'
import { median, replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    workers: { type: 'string', default: '4,16' },
    write: { type: 'boolean', default: false },
  },
})

interface Measured {
  readonly cyclesPerSecond: number
  readonly getMs: readonly number[]
}

const ROWS = 190
const INSERT = `
  insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts)
  select 'bench', 'bench__commands', gen_random_uuid(), 'Test', 'PENDING', 3
    from generate_series(1, ${ROWS})`

const server = await openBenchServer(process.env.DATABASE_URL)
try {
  const report = await measureAll()
  console.log(report)
  if (values.write) {
    replaceSection(
      new URL('../docs/internals/benchmarks.md', import.meta.url),
      'bench:databases',
      report,
    )
  }
} finally {
  await server.close()
}

async function measureAll(): Promise<string> {
  const lines: string[][] = []
  for (const workers of values.workers.split(',').map(Number)) {
    const measured = new Map<string, Measured | string>()
    // One after another, so that none is measured while another one refills its pool.
    for (const [name, create] of Object.entries(createSubjects(workers))) {
      const subject = await create()
      measured.set(name, typeof subject === 'string' ? subject : await measure(subject, workers))
    }
    const ours = measured.get('this service') as Measured
    for (const [name, found] of measured) lines.push(toLine(workers, name, found, ours))
  }
  const head = ['workers, way', 'cycles a second', 'get p50, ms', 'get p95, ms', 'this service is']
  return [
    `PostgreSQL ${server.version}, ${cpus().length} cores (${cpus()[0]?.model}), Node.js ${process.version}; ` +
      `each way alone for ${values.rounds} × ${values.seconds} s, median of the rounds; a cycle is to get a ` +
      `database, connect, insert ${ROWS} rows, and give it back.`,
    '',
    toTable(head, lines),
  ].join('\n')
}

function createSubjects(workers: number): Record<string, () => Promise<Subject | string>> {
  const options = { server, max: workers }
  return {
    'this service': () => createOurs(options),
    IntegreSQL: () => createIntegresql(process.env.INTEGRESQL_URL, options),
    'create database … template': () => createByHand(options),
  }
}

function toLine(workers: number, name: string, found: Measured | string, ours: Measured): string[] {
  const label = `${workers}, ${name}`
  if (typeof found === 'string') return [label, found, '', '', '']
  const sorted = found.getMs.toSorted((a, b) => a - b)
  const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1)
  const ratio = ours.cyclesPerSecond / found.cyclesPerSecond
  return [
    label,
    found.cyclesPerSecond.toFixed(1),
    at(0.5),
    at(0.95),
    found === ours ? '' : `${ratio.toFixed(1)} × as fast`,
  ]
}

async function measure(subject: Subject, workers: number): Promise<Measured> {
  try {
    await run(subject, workers, 2000)
    const rounds: Measured[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push(await run(subject, workers, 1000 * Number(values.seconds)))
    }
    return {
      cyclesPerSecond: median(rounds.map(({ cyclesPerSecond }) => cyclesPerSecond)),
      getMs: rounds.flatMap(({ getMs }) => getMs),
    }
  } finally {
    await subject.close()
  }
}

async function run(subject: Subject, workers: number, durationMs: number): Promise<Measured> {
  const getMs: number[] = []
  const startedAt = performance.now()
  const work = async () => {
    while (performance.now() - startedAt < durationMs) {
      const askedAt = performance.now()
      const lent = await subject.get()
      getMs.push(performance.now() - askedAt)
      const client = new pg.Client({ connectionString: lent.url })
      await client.connect()
      await client.query(INSERT)
      await client.end()
      await subject.giveBack(lent)
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
  const seconds = (performance.now() - startedAt) / 1000
  return { cyclesPerSecond: getMs.length / seconds, getMs }
}
