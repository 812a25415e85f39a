// Measures what large inputs cost: memory of the service, and how long /livez takes meanwhile, each beside a start
// with one empty migration.
//
//   npm run bench:size -- [--write]
//
// PostgreSQL is the embedded one, or DATABASE_URL's. Memory is read from /proc, so on Linux only. --write puts
// the table into docs/internals/benchmarks.md.
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { writeCommitted } from '../test/support/migrations-folder.ts'
import { replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

interface Size {
  readonly ends: string
  readonly seconds: number
  readonly serviceMb: number
  readonly livezMs: number
}

interface Case {
  readonly name: string
  readonly bodies: () => readonly string[]
  /** Runs once the service is ready. */
  readonly whenReady?: (address: string) => Promise<void>
}

const CASES: readonly Case[] = [
  { name: 'an empty migration', bodies: () => ['select 1;'] },
  {
    name: '2,000 files',
    bodies: () => Array.from({ length: 2000 }, (_, i) => `create table t_${i} (i int);`),
  },
  {
    name: '400 files of 250 kB',
    bodies: () => Array.from({ length: 400 }, (_, i) => `select ${i}; -- ${'x'.repeat(250_000)}`),
  },
  {
    name: '300,000 inserts, 12 MB',
    bodies: () => [`create table t (i int, name text);\n${createInserts(12)}`],
  },
  {
    name: 'a million notices',
    bodies: () => [
      "do $$ begin for i in 1..1000000 loop raise notice 'notice %', i; end loop; end $$;",
    ],
  },
  {
    name: 'three million rows of a select',
    bodies: () => ['select i, i from generate_series(1, 3000000) i;'],
  },
  {
    name: 'the last statement fails, 60 MB',
    bodies: () => [`create table t (i int, name text);\n${createInserts(60)}\nselect 1 / 0;`],
  },
  {
    name: '10,000 tables, /status 20 at once',
    bodies: () => [
      Array.from({ length: 10_000 }, (_, i) => `create table t_${i} (i int);`).join('\n'),
    ],
    whenReady: loadStatus,
  },
]

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const projectDir = dirname(import.meta.dirname)
const folder = mkdtempSync(join(tmpdir(), 'commandbus-bench-'))
const server = await openBenchServer(process.env.DATABASE_URL)
const sizes: Size[] = []
try {
  for (const [index, one] of CASES.entries()) {
    const dir = join(folder, String(index))
    mkdirSync(join(dir, 'committed'), { recursive: true })
    writeCommitted(dir, one.bodies())
    sizes.push(await measure(await server.createEmpty(`bench_size_${index}`), dir, one))
    rmSync(dir, { recursive: true })
  }
} finally {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}

const [empty] = sizes
const withRatio = (value: number, base = Number.NaN) =>
  `${value.toFixed(0)} (${(value / base).toFixed(1)})`
const table = toTable(
  ['migration', 'ends', 's', 'memory, MB', 'longest /livez, ms'],
  sizes.map((size, index) => [
    CASES[index]?.name ?? '',
    size.ends,
    size.seconds.toFixed(1),
    withRatio(size.serviceMb, empty?.serviceMb),
    withRatio(size.livezMs, empty?.livezMs),
  ]),
)
const report = `PostgreSQL ${server.version}, Node.js ${process.version}; in brackets the ratio to the first line:\n\n${table}`
console.log(report)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'size', report)
}

/** Starts the service, and follows it until it is ready or has ended. */
async function measure(url: string, migrationsDir: string, { whenReady }: Case): Promise<Size> {
  const startedAt = performance.now()
  const service = spawn(process.execPath, [join('dist', 'src', 'bin', 'server.js')], {
    cwd: projectDir,
    env: { PORT: '0', DATABASE_URL: url, MIGRATIONS_DIR: migrationsDir },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  service.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-100_000)
  })
  let hasEnded = false
  const ended = new Promise<void>((resolve) =>
    service.once('close', () => {
      hasEnded = true
      resolve()
    }),
  )
  const peaks = { serviceMb: 0, livezMs: 0 }
  const note = (key: keyof typeof peaks, value: number) => {
    peaks[key] = Math.max(peaks[key], value)
  }
  let isDone = false
  const watchMemory = async () => {
    while (!isDone && !hasEnded) {
      note('serviceMb', readMemory(service.pid))
      await sleep(20)
    }
  }
  const findAddress = () => /"msg":"listening at (http[^"]+)"/.exec(output)?.[1]
  const watchProbe = async () => {
    while (!isDone && !hasEnded) {
      const address = findAddress()
      if (address !== undefined) {
        const askedAt = performance.now()
        const isAnswered = await fetch(`${address}/livez`).then(
          (response) => response.text(),
          () => undefined,
        )
        if (isAnswered !== undefined) note('livezMs', performance.now() - askedAt)
      }
      await sleep(20)
    }
  }
  const watching = Promise.all([watchMemory(), watchProbe()])
  while (!hasEnded && !output.includes('"msg":"ready"')) await sleep(20)
  const seconds = (performance.now() - startedAt) / 1000
  const address = findAddress()
  if (!hasEnded && whenReady !== undefined && address !== undefined) await whenReady(address)
  isDone = true
  await watching
  const ends = hasEnded ? `exit ${service.exitCode}` : 'ready'
  service.kill('SIGTERM')
  await ended
  return { ends, seconds, ...peaks }
}

/** In a process of its own, so that reading the answers does not hold up the probe beside it. */
async function loadStatus(address: string): Promise<void> {
  const load = `
    const until = performance.now() + 5000
    const ask = async () => {
      while (performance.now() < until) await (await fetch('${address}/status')).text()
    }
    await Promise.all(Array.from({ length: 20 }, ask))`
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', load])
}

function createInserts(megabytes: number): string {
  const lines: string[] = []
  for (let length = 0; length < megabytes * 1e6; ) {
    const line = `insert into t values (${lines.length}, 'abc');`
    lines.push(line)
    length += line.length + 1
  }
  return lines.join('\n')
}

function readMemory(pid: number | undefined): number {
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes ?? 0) / 1024
  } catch {
    return 0
  }
}
