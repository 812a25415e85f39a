// The rules of the house, checked from the sources themselves. Each rule is a function of the sources,
// so that a test can plant a violation and see it reported.
import { test } from 'tap'
import { listProjectFiles, readProjectFile } from './support/files.ts'
import { findCircles, listImports } from './support/imports.ts'

type Sources = ReadonlyMap<string, string>
/** Violations, each as a sentence; none where the rule holds. */
type Rule = (sources: Sources) => string[]

const read = (folders: readonly string[], endings: readonly string[]): Sources =>
  new Map(
    folders
      .flatMap((folder) => endings.flatMap((ending) => listProjectFiles(folder, ending)))
      .map((path) => [path, readProjectFile(path)]),
  )

const src = read(['src'], ['.ts'])
const dev = read(['dev'], ['.ts'])

/** What each room may import, besides itself. The picture is in docs/internals/architecture.md. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  bin: ['service', 'http', 'config', 'logger', 'signals', 'errors'],
  service: [
    ...['http', 'status', 'metrics', 'traces', 'test-databases', 'reset', 'drift', 'migrations'],
    ...['baseline', 'catalog', 'database', 'postgres'],
    ...['errors', 'config', 'readiness', 'logger', 'version', 'signals'],
  ],
  http: [
    ...['page', 'status', 'metrics', 'test-databases', 'reset'],
    ...['config', 'readiness', 'logger', 'version', 'errors'],
  ],
  page: [
    'http', // The type of the status.
    ...['status', 'catalog', 'readiness'],
  ],
  status: [
    'http', // The types of its answer.
    ...['reset', 'drift', 'migrations', 'baseline', 'catalog', 'database', 'postgres'],
    ...['readiness', 'version', 'errors'],
  ],
  traces: ['version', 'events'],
  metrics: ['postgres', 'readiness', 'version', 'events'],
  'test-databases': [
    ...['reset', 'migrations', 'baseline', 'catalog', 'database', 'postgres', 'errors'],
  ],
  drift: ['migrations', 'baseline', 'catalog', 'database', 'postgres', 'errors'],
  reset: ['migrations', 'baseline', 'catalog', 'database', 'postgres', 'errors'],
  migrations: ['catalog', 'database', 'postgres', 'errors'],
  baseline: ['catalog', 'database', 'postgres', 'errors'],
  catalog: ['postgres', 'errors'],
  database: ['postgres', 'errors'],
  postgres: ['errors'],
  errors: [],
  config: ['errors', 'postgres'],
  readiness: [],
  events: [],
  logger: ['errors', 'config'],
  version: [],
  signals: ['errors'],
}

/** Their types may be named by every room below the service: arguments have types. */
const TYPES_FOR_ALL = ['config', 'events', 'logger', 'readiness']

const roomOf = (path: string): string => path.split('/')[1]?.replace(/\.ts$/, '') ?? ''

const arrows: Rule = (sources) =>
  listImports(sources)
    .filter(({ from, to, isTypeOnly }) => {
      const [room, target] = [roomOf(from), roomOf(to)]
      const isTypeForAll = isTypeOnly && TYPES_FOR_ALL.includes(target)
      return room !== target && !isTypeForAll && !ARROWS[room]?.includes(target)
    })
    .map(({ from, to }) => `${from} must not import ${to}`)

const circles: Rule = (sources) =>
  findCircles(listImports(sources)).map((files) => `circle: ${files.join(', ')}`)

/** The files that belong to no room. */
const LOOSE = [
  ...[
    'service',
    'status',
    'metrics',
    'traces',
    'readiness',
    'events',
    'signals',
    'logger',
    'version',
  ],
]

const looseFiles: Rule = (sources) =>
  [...sources.keys()].filter(
    (path) => path.split('/').length === 2 && !LOOSE.includes(roomOf(path)),
  )

const only =
  (pattern: RegExp, allowed: readonly string[]): Rule =>
  (sources) =>
    [...sources]
      .filter(([path, text]) => pattern.test(text) && !allowed.some((one) => path.startsWith(one)))
      .map(([path]) => path)

/** The content's own schemas, functions and tables, as the migrations name them. */
const contentNames = only(
  /\bcommandbus\.|\be2e|\bsp_[a-z]|\bcommand_bus|\bpayload_archive\b|\btest_command\b|\bTROUBLESHOOTING|__commands\b/i,
  ['src/config/config.ts'],
)
const environment = only(/process\.env\b/, ['src/config/'])
const toolImport = only(/(?:from|import\() ?'graphile-migrate/, ['src/migrations/tool/migrate.ts'])
const sqlInHttp: Rule = (sources) =>
  [...sources]
    .filter(([path]) => path.startsWith('src/http/'))
    .filter(([, text]) => /\.query\(|`\s*select\b/i.test(text))
    .map(([path]) => path)
/** Data reaches the page through its template, which escapes it. */
const pageMarkup = only(/new Html\(/, ['src/page/html.ts'])
const leftOpen = only(/\b(TODO|FIXME|XXX)\b/, [])

/** SQLSTATEs of PostgreSQL and of the reset function: one list. */
const sqlstates = only(
  /'(?:(?:0A|08|22|23|25|28|2B|3D|3F|40|42|53|55|57)[0-9A-Z]{3}|KB[A-Z]{3})'/,
  // The description of the API quotes two in its examples.
  ['src/postgres/', 'src/http/schemas/problem-details.ts'],
)

/** The old voice, and names that the glossary replaced. */
const OLD_WORDS =
  /\b(?:anew|heed(?:s|ed)?|whoever|somebody|mend(?:s|ed|ing)?|be it|patience|broken? off|gives? way|was not had|staying so|none of its business|(?:is|be|gets?) shot|closer look)\b/i

const oldWords: Rule = (sources) =>
  [...sources].flatMap(([path, text]) =>
    text
      .split('\n')
      .map((line, index) => ({ line, place: `${path}:${index + 1}` }))
      .filter(({ line }) => OLD_WORDS.test(line))
      .map(({ line, place }) => `${place}: ${OLD_WORDS.exec(line)?.[0]}`),
  )

const prose = new Map(
  [
    ...read(
      [
        'src',
        'client',
        'clients',
        'testing',
        'dev',
        'bench',
        'scripts',
        'test',
        'migrations',
        'embedded',
        'examples',
      ],
      ['.ts', '.mjs', '.sql', '.py', '.md'],
    ),
    ...read(['docs', 'deploy'], ['.md', '.yaml']),
    ...['README.md', 'CONTRIBUTING.md'].map((path) => [path, readProjectFile(path)] as const),
  ].filter(([path]) => path !== 'test/house-rules.test.ts'),
)

/** Each rule, what it is checked on, and a violation that it must report. */
const RULES: readonly (readonly [string, Rule, Sources, string, string])[] = [
  [
    'rooms import only the rooms below them',
    arrows,
    src,
    'src/postgres/planted.ts',
    "import { provision } from '../migrations/provision.ts'\n",
  ],
  [
    'below the service, only the type of the settings is imported',
    arrows,
    src,
    'src/reset/planted.ts',
    "import { loadConfig } from '../config/config.ts'\n",
  ],
  [
    'no files import each other in a circle',
    circles,
    src,
    'src/errors/codes.ts',
    `${src.get('src/errors/codes.ts')}\nimport type { ServiceError } from './service-error.ts'\n`,
  ],
  ['no file stands loose beside the rooms', looseFiles, src, 'src/planted.ts', ''],
  [
    'the service knows no name of the command bus, but for one setting',
    contentNames,
    src,
    'src/status.ts',
    "'select * from commandbus.batch'",
  ],
  [
    'only the settings read the environment',
    environment,
    new Map([...src, ...dev]),
    'dev/database.ts',
    'process.env.PORT',
  ],
  [
    'graphile-migrate has one importer',
    toolImport,
    src,
    'src/migrations/apply.ts',
    "import 'x' from 'graphile-migrate'",
  ],
  ['HTTP holds no SQL', sqlInHttp, src, 'src/http/routes/status.ts', "pool.query('select 1')"],
  ['one template makes markup', pageMarkup, src, 'src/page/state.ts', 'new Html(detail)'],
  ['SQLSTATEs stand in one place', sqlstates, src, 'src/reset/data.ts', "code === '42P01'"],
  ['nothing is left open', leftOpen, src, 'src/status.ts', ['// TO', 'DO: later'].join('')],
  [
    'the old voice does not come back',
    oldWords,
    prose,
    'docs/planted.md',
    'The file is written anew.\n',
  ],
]

for (const [name, rule, sources, path, text] of RULES) {
  test(name, async (t) => {
    t.ok(sources.size > 20, 'sources were found')
    t.strictSame(rule(sources), [])
    const planted = rule(new Map([...sources, [path, text]]))
    t.equal(planted.length, 1, 'a planted violation is reported')
  })
}
