// Measures how long a start takes, side by side with the least that it could take and with other tools: an
// empty database with this project's migrations, one that is up to date, and one with 1,000 small files.
//
//   npm run bench:start -- [--rounds 15] [--files 1000] [--write] [SERVER_JS …]
//
// Further builds of the service may be named, to compare them. dbmate is found on the PATH; npm's package
// has it: npm install --prefix FOLDER dbmate@2.36.0, then FOLDER/node_modules/@dbmate/linux-x64/bin.
// PostgreSQL is the embedded one, or DATABASE_URL's.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { median, replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'
import { CASES, type Case, createFolders, listPrograms, type Program } from './start-programs.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '15' },
    files: { type: 'string', default: '1000' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const folder = mkdtempSync(join(tmpdir(), 'commandbus-bench-'))
const server = await openBenchServer(process.env.DATABASE_URL)
const measured = new Map<Program, Map<Case, number[]>>()
let programs: readonly Program[] = []

try {
  const folders = createFolders(folder, Number(values.files))
  programs = listPrograms(positionals)
  // The first run of each fills the caches of the file system, and migrates what is to be up to date.
  const upToDate = new Map<string, string>()
  for (const program of programs) {
    measured.set(program, new Map(CASES.map((one) => [one, []])))
    for (const one of CASES.filter(
      (name) => name !== 'empty' && program.migrates && !program.isMissing,
    )) {
      const url = await server.createEmpty(`bench_start_${upToDate.size}`)
      await program.run({ url, ...folders[one] })
      upToDate.set(program.name + one, url)
    }
  }
  const turns = programs.flatMap((program) => CASES.map((one) => ({ program, one })))
  for (let round = 0; round < rounds; round++) {
    // Alternating, because the position in a round alone makes a difference of a few percent.
    for (const { program, one } of round % 2 === 0 ? turns : turns.toReversed()) {
      if (program.isMissing) continue
      const url =
        one === 'empty'
          ? await server.createEmpty('bench_start_empty')
          : (upToDate.get(program.name + one) ?? (await server.createEmpty('bench_start_empty')))
      const ms = await program.run({ url, ...folders[one], isUpToDate: one !== 'empty' })
      measured.get(program)?.get(one)?.push(ms)
    }
  }
} finally {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}

const text = [
  `Medians of ${rounds} interleaved rounds in ms, from the start of the process until the service is ready or the ` +
    `tool has ended; PostgreSQL ${server.version}, Node.js ${process.version}, ${cpus().length} cores ` +
    `(${cpus()[0]?.model}). In brackets the ratio to psql, and of what is up to date to \`node -e 0\`.`,
  '',
  toTable(
    ['', 'empty database', 'up to date', `up to date, ${values.files} files`],
    programs.map((program) => [program.name, ...CASES.map((one) => describe(program, one))]),
  ),
].join('\n')
console.log(`commit ${git('rev-parse', '--short', 'HEAD')}\n\n${text}`)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'bench:start', text)
}

function describe(program: Program, one: Case): string {
  if (program.isMissing) return 'not installed'
  const ms = median(measured.get(program)?.get(one) ?? [])
  if (Number.isNaN(ms)) return ''
  const base = programs.find(({ name }) => name === (one === 'empty' ? 'psql' : '`node -e 0`'))
  const ratio = ms / median((base && measured.get(base)?.get(one)) ?? [])
  return Number.isNaN(ratio) ? ms.toFixed(0) : `${ms.toFixed(0)} (${ratio.toFixed(2)})`
}

function git(...args: string[]): string {
  return spawnSync('git', args, {
    cwd: dirname(import.meta.dirname),
    encoding: 'utf8',
  }).stdout.trim()
}
