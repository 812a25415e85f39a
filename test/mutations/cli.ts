// A sample of defects: how many would the tests notice?
//
//   npm run test:mutations                      60 mutants, the seed is printed
//   npm run test:mutations -- --count 10 --seed 7 --only src/reset
//
// Each mutant is one small change of src/, client/ or the migrations' fixtures, made in a copy of the
// project. The tests of its area run until one fails. A mutant that does not compile, or that the
// migrations refuse, is replaced by the next. The table goes to docs/internals/mutations.md: what
// survives is read by a person, who says there whether it changes behaviour at all.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { replaceSection } from '../../bench/report.ts'
import { listProjectFiles, readProjectFile, root } from '../support/files.ts'
import { areaOf, testsOf } from './areas.ts'
import { createCompiler } from './compile.ts'
import { applyMutant, listMutants, type Mutant } from './mutants.ts'
import { createRandom, shuffle } from './random.ts'
import { createSandbox } from './sandbox.ts'

interface Result {
  readonly mutant: Mutant
  /** The test file that failed first; undefined where all passed. */
  readonly noticedBy: string | undefined
}

const TEST_TIMEOUT_MS = 15 * 60_000

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '60' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    report: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
process.stdout.write(`seed ${seed}\n`)

const candidates = shuffle(
  [
    ...listProjectFiles('src', '.ts'),
    ...listProjectFiles('client', '.ts'),
    ...listProjectFiles('migrations/fixtures', '.sql'),
  ]
    .filter((path) => path.startsWith(values.only))
    .flatMap((path) => listMutants(path, readProjectFile(path))),
  createRandom(seed),
)
process.stdout.write(`${candidates.length} possible mutants\n`)

const sandbox = createSandbox(root)
if ((await sandbox.run('node', ['scripts/build.mjs'], TEST_TIMEOUT_MS)).exitCode !== 0) {
  throw new Error('the project does not build')
}
// Released migrations are not amended; in the copy, none is released.
rmSync(join(sandbox.dir, 'migrations', 'released.json'), { force: true })
const compiler = createCompiler(sandbox.dir)
const results: Result[] = []
try {
  for (const mutant of candidates) {
    if (results.length >= Number(values.count)) break
    const result = await tryMutant(mutant)
    if (result === undefined) continue
    results.push(result)
    const { path, line, operator } = mutant
    process.stdout.write(
      `${result.noticedBy === undefined ? 'SURVIVED' : 'noticed '} ${path}:${line} ${operator}: ` +
        `${oneLine(mutant.before)} -> ${oneLine(mutant.after)} ${result.noticedBy ?? ''}\n`,
    )
  }
} finally {
  sandbox.remove()
}
const noticed = results.filter(({ noticedBy }) => noticedBy !== undefined).length
process.stdout.write(`${noticed} of ${results.length} noticed\n`)
if (values.report) {
  const page = new URL('../../docs/internals/mutations.md', import.meta.url)
  replaceSection(page, 'mutations', describe(results))
}

/** Undefined where it does not build, and so could never land. */
async function tryMutant(mutant: Mutant): Promise<Result | undefined> {
  const file = join(sandbox.dir, mutant.path)
  const original = readFileSync(file, 'utf8')
  const changed = applyMutant(original, mutant)
  const isSql = mutant.path.endsWith('.sql')
  const migrations = listProjectFiles('migrations/committed', '.sql').map((path) => ({
    path: join(sandbox.dir, path),
    text: readProjectFile(path),
  }))
  try {
    writeFileSync(file, changed)
    const builds = isSql
      ? (await sandbox.run('npm', ['run', '--silent', 'db:amend'], TEST_TIMEOUT_MS)).exitCode === 0
      : compiler.compile(mutant.path, changed)
    if (!builds) return undefined
    for (const test of testsOf(mutant.path)) {
      const files = expand(test)
      if (files.length === 0) continue
      const run = await sandbox.run(
        'npx',
        ['tap', '--bail', '--reporter=tap', '--disable-coverage', ...files],
        TEST_TIMEOUT_MS,
      )
      if (run.exitCode !== 0) {
        const failed = /^not ok \d+ - (\S+\.test\.ts)/m.exec(run.output)?.[1]
        return { mutant, noticedBy: run.timedOut ? `${test} (time limit)` : (failed ?? test) }
      }
    }
    return { mutant, noticedBy: undefined }
  } finally {
    writeFileSync(file, original)
    for (const { path, text } of migrations) writeFileSync(path, text)
    if (!isSql) compiler.compile(mutant.path, original)
  }
}

/** tap wants files. */
function expand(test: string): string[] {
  if (test.endsWith('.ts')) return existsSync(join(sandbox.dir, test)) ? [test] : []
  return listProjectFiles(test, '.test.ts')
}

function oneLine(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ')
  return line === '' ? '(nothing)' : line.length > 60 ? `${line.slice(0, 60)}…` : line
}

function describe(all: readonly Result[]): string {
  const areas = [...new Set(all.map(({ mutant }) => areaOf(mutant.path)))].sort()
  const rows = areas.map((area) => {
    const own = all.filter(({ mutant }) => areaOf(mutant.path) === area)
    const seen = own.filter(({ noticedBy }) => noticedBy !== undefined).length
    return `| ${area} | ${own.length} | ${seen} |`
  })
  return [
    `Seed ${seed}: ${all.length} mutants, ${noticed} noticed.`,
    '',
    '| area | mutants | noticed |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n')
}
