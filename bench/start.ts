// Measures how long a start takes on a database that is already up to date, from the start of the
// process until it listens and until it is ready. Several builds are compared by interleaved rounds:
//
//   npm run bench:start -- [--rounds 15] [SERVER_JS …]
//
// Without arguments the build in dist/ is measured. PostgreSQL is the embedded one, or DATABASE_URL's.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { median, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

interface Start {
  readonly listeningMs: number
  readonly readyMs: number
  /** Processor time until it is ready: comparable even on a busy machine. NaN where it is unknown. */
  readonly processorMs: number
}

const projectDir = dirname(import.meta.dirname)
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '15' } },
})
const builds = positionals.length > 0 ? positionals : [join('dist', 'src', 'bin', 'server.js')]
const starts = new Map<string, Start[]>(builds.map((build) => [build, []]))

const server = await openBenchServer(process.env.DATABASE_URL)
try {
  const url = await server.createMigrated('bench_start')
  // The first start of each build fills the caches of the file system.
  for (const build of builds) await measureStart(build, url)
  for (let round = 0; round < Number(values.rounds); round++) {
    // Alternating, because the position in a round alone makes a difference of a few percent.
    const order = round % 2 === 0 ? builds : builds.toReversed()
    for (const build of order) starts.get(build)?.push(await measureStart(build, url))
  }
} finally {
  await server.close()
}

console.log(
  `Node.js ${process.version}, PostgreSQL ${server.version}, ${values.rounds} interleaved rounds, medians\n`,
)
console.log(
  toTable(
    ['build', 'listening, ms', 'ready, ms', 'processor, ms'],
    [...starts].map(([build, measured]) => [
      build,
      median(measured.map(({ listeningMs }) => listeningMs)).toFixed(0),
      median(measured.map(({ readyMs }) => readyMs)).toFixed(0),
      median(measured.map(({ processorMs }) => processorMs)).toFixed(0),
    ]),
  ),
)

/** Starts one service, waits until it is ready, and stops it. */
async function measureStart(build: string, url: string): Promise<Start> {
  const startedAt = performance.now()
  const service = spawn(process.execPath, [build], {
    cwd: projectDir,
    // Nothing else of the environment: NODE_EXTRA_CA_CERTS alone costs 35 ms.
    env: { PORT: '0', DATABASE_URL: url, MIGRATIONS_DIR: join(projectDir, 'migrations') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => service.once('close', resolve))
  const start = await new Promise<Start>((resolve, reject) => {
    let output = ''
    let listeningMs = Number.NaN
    service.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const elapsedMs = performance.now() - startedAt
      if (Number.isNaN(listeningMs) && output.includes('"msg":"listening at')) {
        listeningMs = elapsedMs
      }
      if (output.includes('"msg":"ready"')) {
        const processorMs = readProcessorTime(service.pid)
        resolve({ listeningMs, readyMs: elapsedMs, processorMs })
      }
    })
    void ended.then(() => reject(new Error(`${build} ended before it was ready: ${output}`)))
  })
  service.kill('SIGTERM')
  await ended
  return start
}

/** Sums what all threads of a process have used so far; Linux only. */
function readProcessorTime(pid: number | undefined): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const nanoseconds = threads.map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    )
    return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e6
  } catch {
    return Number.NaN
  }
}
