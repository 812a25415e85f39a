// Measures what a session for each migration costs: many small files, applied by the service's runner and
// by graphile-migrate's own command, which runs all of them in one session. The third way is the service's
// with files that make it open a new connection for each.
//
//   npm run bench:sessions -- [--files 1000] [--rounds 5] [--write]
//
// PostgreSQL is the embedded one, or DATABASE_URL's. --write puts the table into docs/internals/benchmarks.md.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import pg from 'pg'
import pino from 'pino'
import { readCommittedMigrations } from '../src/migrations/files/committed.ts'
import { runTool } from '../src/migrations/tool/runner.ts'
import { writeCommitted } from '../test/support/migrations-folder.ts'
import { median, replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
  },
})
const tool = join(dirname(createRequire(import.meta.url).resolve('graphile-migrate')), 'cli.js')

/** A small file: a table, an index, a row. */
const body = (index: number) => `
  create table t_${index} (id int primary key, name text not null);
  create index t_${index}_name on t_${index} (name);
  insert into t_${index} values (1, 'one');`

const folder = mkdtempSync(join(tmpdir(), 'commandbus-bench-'))
const plain = createFolder('plain', body)
const marked = createFolder('marked', (index) => `${body(index)} -- set_config`)
const server = await openBenchServer(process.env.DATABASE_URL)

const ways: readonly { name: string; run: (url: string) => Promise<void> }[] = [
  { name: "graphile-migrate's command, one session", run: (url) => runCommand(url, plain) },
  { name: 'the service, a session for each file', run: (url) => runService(url, plain) },
  { name: 'the service, a connection for each file', run: (url) => runService(url, marked) },
]
const measured = ways.map(() => [] as number[])
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? ways : ways.toReversed()
    for (const way of order) {
      const url = await server.createEmpty(`bench_sessions_${round}_${ways.indexOf(way)}`)
      const startedAt = performance.now()
      await way.run(url)
      measured[ways.indexOf(way)]?.push(performance.now() - startedAt)
    }
  }
} finally {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}

const base = median(measured[0] ?? [])
const table = toTable(
  ['way', 's', 'ratio'],
  ways.map(({ name }, index) => {
    const time = median(measured[index] ?? [])
    return [name, (time / 1000).toFixed(1), (time / base).toFixed(2)]
  }),
)
const report = `${values.files} files, PostgreSQL ${server.version}, Node.js ${process.version}, medians of ${values.rounds} interleaved rounds:\n\n${table}`
console.log(report)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'sessions', report)
}

function createFolder(name: string, createBody: (index: number) => string): string {
  const dir = join(folder, name)
  mkdirSync(join(dir, 'committed'), { recursive: true })
  writeCommitted(
    dir,
    Array.from({ length: Number(values.files) }, (_, index) => createBody(index)),
  )
  return dir
}

async function runCommand(url: string, dir: string): Promise<void> {
  const config = join(dir, 'gmrc.json')
  writeFileSync(config, JSON.stringify({ migrationsFolder: dir }))
  await promisify(execFile)(process.execPath, [tool, '--config', config, 'migrate'], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    maxBuffer: 2 ** 24,
  })
}

async function runService(url: string, dir: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url })
  try {
    await runTool({
      url,
      databaseName: new URL(url).pathname.slice(1),
      pool,
      migrationsDir: dir,
      settings: { placeholders: {}, pgSettings: {} },
      pending: await readCommittedMigrations(dir),
      log: pino({ level: 'silent' }),
      signal: new AbortController().signal,
      onMigration: () => {},
    })
  } finally {
    await pool.end()
  }
}
