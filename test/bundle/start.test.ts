// What a start loads is what it waits for: 100 KB of code take one to three milliseconds.
import { transformSync } from 'esbuild'
import { test } from 'tap'
import { readProjectFile } from '../support/files.ts'

interface Metafile {
  /** Of each file of the bundle, which modules are in it. */
  readonly outputs: Readonly<Record<string, { readonly inputs: object }>>
  readonly inputs: Readonly<Record<string, { readonly imports: readonly Import[] }>>
}

interface Import {
  readonly path: string
  readonly kind: string
  readonly external?: boolean
}

/** The programs' entries, and what each start of them loads late. */
const SERVICE = ['src/bin/run-service.ts', 'src/http/app.ts', 'src/http/listen.ts']
const MIGRATE_ONCE = ['src/bin/run-service.ts']

/**
 * Fastify requires these only where it has no compilers, or where requests are injected; esbuild cannot
 * see that. test/http/lazy.test.ts holds that a start does not load them.
 */
const NEVER_AT_START = [
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  'light-my-request',
]

/** Before you add one: import it late instead, or measure what it costs (npm run bench:start). */
const ALLOWED = {
  'migrate-once': [
    ...['pg', 'pg-cloudflare', 'pg-connection-string', 'pg-int8', 'pg-pool', 'pg-protocol'],
    ...['pg-types', 'pgpass', 'postgres-array', 'postgres-bytea', 'postgres-date'],
    ...['postgres-interval', 'split2', 'xtend'],
    ...['@pinojs/redact', 'atomic-sleep', 'on-exit-leak-free', 'pino', 'pino-std-serializers'],
    ...['quick-format-unescaped', 'safe-stable-stringify', 'sonic-boom', 'thread-stream'],
  ],
  service: [
    '@fastify/error',
    ...[
      'abstract-logging',
      'avvio',
      'fast-decode-uri-component',
      'fast-deep-equal',
      'fast-json-stringify',
    ],
    ...['fast-querystring', 'fastify', 'fastq', 'find-my-way', 'process-warning'],
    ...['ret', 'reusify', 'rfdc', 'safe-regex2', 'secure-json-parse', 'toad-cache'],
  ],
}

const metafile: Metafile = JSON.parse(readProjectFile('dist/bundle.json'))

for (const [program, entries, allowed] of [
  ['migrate-once', MIGRATE_ONCE, ALLOWED['migrate-once']],
  ['service', SERVICE, [...ALLOWED['migrate-once'], ...ALLOWED.service]],
] as const) {
  test(`a start of the ${program} loads no other package than these`, async (t) => {
    const loaded = listLoaded(metafile, entries)

    t.ok(loaded.size > entries.length)
    for (const [path, chain] of loaded) {
      const name = packageOf(path)
      if (name === undefined || allowed.includes(name)) continue
      t.fail(`${name} is loaded by every start: ${chain.join(' -> ')}`)
    }
    const names = new Set([...loaded.keys()].map(packageOf))
    t.strictSame(
      allowed.filter((name) => !names.has(name)),
      [],
      'and these are all loaded',
    )
  })
}

test('a package that a module of the start imports is reported with the way to it', async (t) => {
  const planted = structuredClone(metafile) as Metafile & {
    inputs: Record<string, { imports: Import[] }>
  }
  planted.inputs['src/status.ts']?.imports.push({
    path: 'node_modules/prom-client/index.js',
    kind: 'import-statement',
  })

  t.match(listLoaded(planted, MIGRATE_ONCE).get('node_modules/prom-client/index.js'), [
    'src/bin/run-service.ts',
    'src/service.ts',
    'src/status.ts',
    'node_modules/prom-client/index.js',
  ])
})

test('packages that no start uses are in files of their own, which a start does not read', async (t) => {
  const late = Object.keys(metafile.inputs).flatMap((path) => /^late:(.+)/.exec(path)?.[1] ?? [])
  const [service] = Object.values(metafile.outputs)
  const paths = Object.keys(service?.inputs ?? {})

  t.ok(paths.includes('node_modules/fastify/fastify.js'))
  t.ok(late.includes('ajv'))
  // Also not by a path inside of them.
  t.strictSame(
    paths.filter((path) => !path.startsWith('late:') && late.includes(packageOf(path) ?? '')),
    [],
  )
})

test('the program is ASCII but for comments, since load.cjs reads it as Latin 1', (t) => {
  const text = readProjectFile('dist/app/service.js')
  // It removes comments and escapes what it can: not what stands in a tagged template.
  const { code } = transformSync(text, {
    ...{ minifyWhitespace: true, legalComments: 'none', charset: 'ascii' },
  })
  const found = code.match(/.{0,60}[^\p{ASCII}].{0,20}/gu) ?? []
  t.strictSame(found, [], 'take it out of the template, as a value')
  t.end()
})

/** Every module that the entries import at once, directly or not, with the way to it. */
function listLoaded({ inputs }: Metafile, entries: readonly string[]) {
  const found = new Map<string, readonly string[]>(entries.map((path) => [path, [path]]))
  for (const [from, chain] of found) {
    // It requires the package of its name at the first use.
    if (from.startsWith('lazy:')) continue
    for (const { path, kind, external } of inputs[from]?.imports ?? []) {
      const isLate = external || kind === 'dynamic-import'
      if (isLate || NEVER_AT_START.includes(packageOf(path) ?? '') || found.has(path)) continue
      found.set(path, [...chain, path])
    }
  }
  return found
}

/** The package that a file belongs to; undefined for the project's own. */
function packageOf(path: string): string | undefined {
  return /(?:^late:|.*node_modules\/)((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
}
