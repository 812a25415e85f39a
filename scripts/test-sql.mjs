// npm run test:sql: compiles the tests of the procedures and what runs them, and runs those that are named. A loader takes
// three times as long for the same files, and what was compiled is used again until a source changes.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** What is compiled, and what decides how. */
const SOURCES = ['src', 'dev', 'test', 'scripts/test-sql.mjs', 'package-lock.json']
const cache = join(root, 'node_modules', '.cache', 'test-sql')
const outdir = join(cache, nameSources())
const compiled = (path) => pathToFileURL(join(outdir, path.replace(/\.ts$/, '.js'))).href

process.chdir(root)
// As in .taprc, in seconds; tap's own limit of 30 is short on a busy machine.
process.env.TAP_TIMEOUT ??= '180'
// A failed assertion names its line of the source.
process.setSourceMapsEnabled(true)
if (!existsSync(outdir)) await compile()
const { main } = await import(compiled('test/sql/cli.ts'))
process.exitCode = await main(process.argv.slice(2), (path) => import(compiled(path)))

/** Other sources have another name: by the times and sizes of the files. */
function nameSources() {
  const hash = createHash('sha256').update(root)
  for (const source of SOURCES) {
    for (const path of list(join(root, source))) {
      const { mtimeMs, size } = statSync(path)
      hash.update(`${path} ${mtimeMs} ${size}\n`)
    }
  }
  return hash.digest('hex').slice(0, 12)
}

function list(path) {
  if (!statSync(path).isDirectory()) return [path]
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
  return found
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}

async function compile() {
  const { build } = await import('esbuild')
  const unfinished = `${outdir}-${process.pid}`
  await build({
    absWorkingDir: root,
    entryPoints: ['test/sql/cli.ts', ...listTests()],
    outbase: root,
    outdir: unfinished,
    bundle: true,
    // Modules that two files use exist once.
    splitting: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: true,
    plugins: [{ name: 'import-meta', setup: ({ onLoad }) => onLoad({ filter: /\.ts$/ }, load) }],
  })
  for (const name of readdirSync(cache)) {
    const path = join(cache, name)
    // A run that began a while ago has loaded what it needs.
    const isOld = statSync(path).mtimeMs < Date.now() - 10 * 60_000
    if (path !== unfinished && isOld) rmSync(path, { recursive: true, force: true })
  }
  try {
    renameSync(unfinished, outdir)
  } catch {
    // Another run has compiled the same meanwhile.
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/** A module that reads a file from beside itself finds it beside its source. */
function load({ path }) {
  const contents = readFileSync(path, 'utf8')
    .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
    .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
  return { contents, loader: 'ts' }
}

/** The tests of functions and views. */
function listTests() {
  const files = readdirSync(join(root, 'test', 'schema'), { recursive: true })
  return files
    .filter((path) => /[\\/](?:functions|views)[\\/][^\\/]+(?<!\.slow)\.test\.ts$/.test(path))
    .map((path) => join('test', 'schema', path))
}
