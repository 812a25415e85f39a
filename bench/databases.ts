// npm run bench:databases -- [--seconds=10] [--rounds=3] [--workers=4,16] [--write]
// DATABASE_URL names a server to measure instead of an embedded one. With INTEGRESQL_URL, an IntegreSQL
// that uses this server is measured, too.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { measureFloor } from './databases-floor.ts'
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
  /** What is faster than any get; empty where that is not measured. */
  readonly floorMs: readonly number[]
  /** Copies that were made meanwhile; with 0, no get waited for one. Undefined where that is not known. */
  readonly copies?: number | undefined
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
    lines.push([`${workers}, floor of this service`, '', ...toPercentiles(ours.floorMs), '', ''])
  }
  const head = [
    ...['workers, way', 'cycles a second', 'get p50, ms', 'get p95, ms', 'copies made'],
    'this service is',
  ]
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
  if (typeof found === 'string') return [label, found, '', '', '', '']
  const ratio = ours.cyclesPerSecond / found.cyclesPerSecond
  return [
    label,
    found.cyclesPerSecond.toFixed(1),
    ...toPercentiles(found.getMs),
    found.copies?.toString() ?? '',
    found === ours ? '' : `${ratio.toFixed(1)} × as fast`,
  ]
}

/** The 50th and the 95th percentile. */
function toPercentiles(durationsMs: readonly number[]): string[] {
  const sorted = durationsMs.toSorted((a, b) => a - b)
  return [0.5, 0.95].map((part) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1))
}

async function measure(subject: Subject, workers: number): Promise<Measured> {
  try {
    await run(subject, workers, 2000)
    const before = await subject.listCopies?.()
    const rounds: Measured[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push(await run(subject, workers, 1000 * Number(values.seconds)))
    }
    const after = await subject.listCopies?.()
    return {
      cyclesPerSecond: median(rounds.map(({ cyclesPerSecond }) => cyclesPerSecond)),
      getMs: rounds.flatMap(({ getMs }) => getMs),
      floorMs: rounds.flatMap(({ floorMs }) => floorMs),
      copies: after?.filter((name) => !before?.includes(name)).length,
    }
  } finally {
    await subject.close()
  }
}

async function run(subject: Subject, workers: number, durationMs: number): Promise<Measured> {
  const getMs: number[] = []
  const startedAt = performance.now()
  const isOver = () => performance.now() - startedAt >= durationMs
  const work = async () => {
    while (!isOver()) {
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
  const { askMemory, askServer } = subject
  const isAsked = askMemory !== undefined && askServer !== undefined
  const measuring = isAsked ? measureFloor({ askMemory, askServer }, isOver) : []
  const working = Promise.all(Array.from({ length: workers }, work)).then(() => performance.now())
  const [endedAt, floorMs] = await Promise.all([working, measuring])
  return { cyclesPerSecond: (1000 * getMs.length) / (endedAt - startedAt), getMs, floorMs }
}
