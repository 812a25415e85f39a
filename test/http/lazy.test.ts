// A start must not pay for what the first POST /reset needs, or only the build.
import { execFileSync } from 'node:child_process'
import { test } from 'tap'
import { listProjectFiles, readProjectFile } from '../support/files.ts'

/** Creates the built app with a reset route, and lists the packages that this loaded. */
const SCRIPT = `
  const { createRequire } = await import('node:module')
  const { createApp } = await import('./dist/src/http/app.js')
  const log = (await import('pino')).default({ level: 'silent' })
  const app = createApp({ log, hosts: { host: '::1', allowedHosts: [] }, mask: (text) => text, readiness: {}, reset: {} })
  await app.ready()
  console.log(Object.keys(createRequire(import.meta.url).cache).join('\\n'))`

test('routes with schemas load neither ajv nor fast-json-stringify', async (t) => {
  const loaded = execFileSync(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
    encoding: 'utf8',
  })

  t.match(loaded, /node_modules\/fastify\/fastify\.js/)
  t.notMatch(
    loaded,
    /node_modules\/(ajv|@fastify\/ajv-compiler|@fastify\/fast-json-stringify-compiler)\//,
  )
})

test('the build does not import TypeBox', async (t) => {
  const files = listProjectFiles('dist/src', '.js')

  t.ok(files.includes('dist/src/http/schemas/status.js'))
  t.strictSame(
    files.filter((file) => /from ["']typebox/.test(readProjectFile(file))),
    [],
  )
})

test('what renders the page is loaded by its first request', async (t) => {
  const text = readProjectFile('dist/src/http/routes/page.js')

  t.match(text, /await import\(["']..\/..\/page\/document.js["']\)/)
  t.notMatch(text, /^import .*page\/(?!\.)/m)
})
