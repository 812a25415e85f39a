// Measures how long other readers wait while a migration waits for a busy table: a reader keeps `hot` in
// an open transaction, `alter table hot add column` is pending, and another reader asks all the time. By
// this service, by graphile-migrate's own command, and by psql, one after the other in one run:
//
//   npm run bench:locks -- [--reader 8] [--write]
//
// --reader is how many seconds the first reader stays, 30 for the full measure. --write puts the table into
// docs/internals/benchmarks.md.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

const projectDir = dirname(import.meta.dirname)
const require = createRequire(import.meta.url)
const { calculateHash } = require('graphile-migrate/dist/hash.js') as {
  calculateHash(body: string, previous: string | null): string
}
const graphileMigrate = join(dirname(require.resolve('graphile-migrate')), 'cli.js')
const { values } = parseArgs({
  options: {
    reader: { type: 'string', default: '8' },
    write: { type: 'boolean', default: false },
  },
})
const readerMs = 1000 * Number(values.reader)

const BODY = 'alter table public.hot add column c int;\n'
const folder = mkdtempSync(join(tmpdir(), 'commandbus-bench-locks-'))
const migrations = join(folder, 'migrations')
mkdirSync(join(migrations, 'committed'), { recursive: true })
writeFileSync(
  join(migrations, 'committed', '000001-alter.sql'),
  `--! Previous: -\n--! Hash: ${calculateHash(BODY, null)}\n\n${BODY}`,
)
writeFileSync(join(migrations, 'current.sql'), '')
writeFileSync(join(folder, '.gmrc'), '{}')

type Way = (url: string) => ChildProcess
const start = (command: string, args: string[], env: Record<string, string>, cwd = projectDir) =>
  spawn(command, args, { cwd, env: { PATH: process.env.PATH, ...env }, stdio: 'ignore' })
const WAYS: readonly (readonly [string, Way])[] = [
  [
    'commandbus-db',
    (url) =>
      start(process.execPath, ['dist/src/bin/server.js'], {
        ...{ DATABASE_URL: url, MIGRATIONS_DIR: migrations, PORT: '0' },
      }),
  ],
  [
    'graphile-migrate migrate',
    (url) => start(process.execPath, [graphileMigrate, 'migrate'], { DATABASE_URL: url }, folder),
  ],
  ['psql', (url) => start('psql', ['--no-psqlrc', '--command', BODY, url], {})],
]

const server = await openBenchServer(process.env.DATABASE_URL)
const lines: string[][] = []
try {
  for (const [index, [name, way]] of WAYS.entries()) {
    const url = await server.createEmpty(`bench_locks_${index}`)
    const measured = await measure(url, way).catch((error: Error) => error.message)
    lines.push(
      typeof measured === 'string'
        ? [name, measured, '']
        : [name, measured.longestMs.toFixed(0), measured.afterMs.toFixed(0)],
    )
  }
} finally {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}
const header = ['by', 'longest wait of another reader, ms', 'applied after the reader, ms']
const report = `PostgreSQL ${server.version}, a reader of ${values.reader} s:\n\n${toTable(header, lines)}`
console.log(report)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'locks', report)
}

/** Runs one way beside the two readers. */
async function measure(url: string, way: Way) {
  const [first, other, observer] = await Promise.all([1, 2, 3].map(() => connect(url)))
  if (!first || !other || !observer) throw new Error('no connection')
  await first.query('create table public.hot (id int); insert into public.hot values (1)')
  await first.query('begin; select * from public.hot')
  const child = way(url)
  let problem: string | undefined
  child.once('error', (error) => {
    problem = error.message
  })
  let longestMs = 0
  let isDone = false
  const reading = (async () => {
    while (!isDone) {
      const startedAt = performance.now()
      await other.query('select id from public.hot')
      longestMs = Math.max(longestMs, performance.now() - startedAt)
      await sleep(10)
    }
  })()
  await sleep(readerMs)
  await first.query('commit')
  const endedAt = performance.now()
  while (problem === undefined && !(await isApplied(observer))) {
    if (performance.now() - endedAt > 60_000) problem = 'not applied within a minute'
    await sleep(10)
  }
  const afterMs = performance.now() - endedAt
  isDone = true
  await reading
  child.kill('SIGTERM')
  await Promise.all([first, other, observer].map((client) => client.end()))
  if (problem !== undefined) throw new Error(problem)
  return { longestMs, afterMs }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

async function isApplied(client: pg.Client): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_attribute where attrelid = 'public.hot'::regclass and attname = 'c'`,
  )
  return rowCount === 1
}
