// npm run test:sql: compiles the tests of the procedures and what runs them, and runs those that are named.
// That takes a tenth of a second; a loader takes three times as long for the same files.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const outdir = join(root, 'node_modules', '.cache', 'test-sql', String(process.pid))
const compiled = (path) => pathToFileURL(join(outdir, path.replace(/\.ts$/, '.js'))).href

process.chdir(root)
// A failed assertion names its line of the source.
process.setSourceMapsEnabled(true)
process.once('exit', () => rmSync(outdir, { recursive: true, force: true }))
await build({
  absWorkingDir: root,
  entryPoints: ['test/sql/cli.ts', ...listTests()],
  outbase: root,
  outdir,
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
const { main } = await import(compiled('test/sql/cli.ts'))
process.exitCode = await main(process.argv.slice(2), (path) => import(compiled(path)))

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
