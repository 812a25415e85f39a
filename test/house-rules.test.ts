import { test } from 'tap'
import { listProjectFiles, readProjectFile } from './support/files.ts'

const sources = listProjectFiles('src', '.ts').map((path) => ({
  path,
  text: readProjectFile(path),
}))

/** The content's own schemas, functions and tables, as the migrations name them. */
const CONTENT =
  /\bcommandbus\.|\be2e|\bsp_[a-z]|\bcommand_bus|\bpayload_archive\b|\btest_command\b|\bTROUBLESHOOTING|__commands\b/i

const matching = (pattern: RegExp, folder = 'src/'): string[] =>
  sources
    .filter(({ path, text }) => path.startsWith(folder) && pattern.test(text))
    .map(({ path }) => path)

test('the service knows no name of the command bus, but for one setting', async (t) => {
  t.ok(sources.length > 20)
  t.strictSame(matching(CONTENT), ['src/config/config.ts'])
})

test('only the settings read the environment', async (t) => {
  t.strictSame(matching(/process\.env\b/), ['src/config/config.ts'])
})

test('graphile-migrate has one importer', async (t) => {
  t.strictSame(matching(/(?:from|import\() ?'graphile-migrate/), ['src/migrations/tool/child.ts'])
})

test('the domain knows no HTTP', async (t) => {
  const http = /from '(?:fastify|.*\/routes\/.*|.*\/app\.ts)'/
  for (const folder of ['src/database/', 'src/migrations/', 'src/reset/']) {
    t.strictSame(matching(http, folder), [])
  }
})

test('routes hold no SQL', async (t) => {
  t.strictSame(matching(/\.query\(|\bselect\b.+\bfrom\b/i, 'src/http/routes/'), [])
})

test('nothing is left open', async (t) => {
  t.strictSame(matching(/\b(TODO|FIXME|XXX)\b/), [])
})
