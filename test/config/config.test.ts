import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { type Config, loadConfig } from '../../src/config/config.ts'
import { createMask } from '../../src/config/redact.ts'
import { ServiceError } from '../../src/errors/service-error.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'

const SECRET = 'hunter2-hunter2-hunter2'
const URL = `postgres://bus:${SECRET}@db.example:5433/bus`

/** Loads settings that must be wrong, and returns the problems by name. */
function findProblems(
  t: Test,
  env: Record<string, string>,
  options?: Parameters<typeof loadConfig>[1],
): Map<string, { given: string; expected: string }> {
  try {
    loadConfig(env, options)
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    t.match(error, { code: 'wrong_settings', exitCode: 2 })
    t.notMatch(error.message + JSON.stringify(error.extensions), SECRET, 'no secret appears')
    const { problems } = error.extensions as {
      problems: { name: string; given: string; expected: string }[]
    }
    return new Map(problems.map((problem) => [problem.name, problem]))
  }
  return new Map()
}

test('variables of PostgreSQL and OpenTelemetry are removed before any package can read them', async (t) => {
  process.env.PGREPLICATION = 'nonsense'
  process.env.OTEL_EXPORTER_OTLP_HEADERS = 'a=b'
  t.teardown(() => delete process.env.PGREPLICATION)

  loadConfig()

  t.equal(process.env.PGREPLICATION, undefined)
  t.equal(process.env.OTEL_EXPORTER_OTLP_HEADERS, undefined)
})

test('every setting has its default if nothing is set', async (t) => {
  t.match(loadConfig({}), {
    databaseUrl: undefined,
    host: '127.0.0.1',
    port: 8080,
    embeddedDataDir: join(process.cwd(), '.data/postgres'),
    embeddedPort: 54329,
    migrationsDir: join(process.cwd(), 'migrations'),
    optionalSchema: { wanted: undefined },
    databaseWaitMs: 60_000,
    migrationLockMs: 600_000,
    lockTimeoutMs: 2000,
    lockRetryMs: 300_000,
    whenAhead: 'refuse',
    onMigrationFailure: 'exit',
    resetEnabled: false,
    resetToken: undefined,
    testDatabasesMax: 0,
    testDatabasesToken: undefined,
    testDatabasesAddress: undefined,
    logLevel: 'info',
    shutdownMs: 8000,
  })
})

test('every setting is read', async (t) => {
  const config: Config = loadConfig({
    DATABASE_URL: URL,
    SHADOW_DATABASE_URL: `${URL}_shadow`,
    ROOT_DATABASE_URL: `${URL}_root`,
    HOST: '::1',
    PORT: '0',
    EMBEDDED_DATA_DIR: '/srv/pg',
    EMBEDDED_PORT: '1',
    EMBEDDED_PASSWORD: 'the-embedded-password',
    MIGRATIONS_DIR: 'migrations',
    E2E_SCHEMA: 'off',
    DATABASE_WAIT_SECONDS: '0',
    MIGRATION_LOCK_SECONDS: '5',
    LOCK_TIMEOUT_MS: '0',
    LOCK_RETRY_SECONDS: '7',
    WHEN_AHEAD: 'serve',
    ON_MIGRATION_FAILURE: 'stay',
    RESET_ENABLED: 'true',
    RESET_TOKEN: SECRET,
    TEST_DATABASES_MAX: '8',
    TEST_DATABASES_TOKEN: SECRET,
    TEST_DATABASES_ADDRESS: '[::1]:6432',
    LOG_LEVEL: 'trace',
    SHUTDOWN_SECONDS: '1',
  })

  t.match(config, {
    databaseUrl: URL,
    shadowDatabaseUrl: `${URL}_shadow`,
    rootDatabaseUrl: `${URL}_root`,
    host: '::1',
    port: 0,
    embeddedDataDir: '/srv/pg',
    embeddedPort: 1,
    embeddedPassword: 'the-embedded-password',
    optionalSchema: { name: 'e2e', wanted: 'off' },
    databaseWaitMs: 0,
    migrationLockMs: 5000,
    lockTimeoutMs: 0,
    lockRetryMs: 7000,
    whenAhead: 'serve',
    onMigrationFailure: 'stay',
    resetEnabled: true,
    resetToken: SECRET,
    testDatabasesMax: 8,
    testDatabasesToken: SECRET,
    testDatabasesAddress: { host: '::1', port: 6432 },
    logLevel: 'trace',
    shutdownMs: 1000,
  })
  t.ok(Object.isFrozen(config))
})

test('the highest port is accepted', async (t) => {
  t.match(loadConfig({ PORT: '65535' }), { port: 65_535 })
  t.match(loadConfig({ EMBEDDED_PORT: '65535' }), { embeddedPort: 65_535 })
})

test('schemas of other tools are listed as they are in the database', async (t) => {
  const config = loadConfig({
    RESET_IGNORE_SCHEMAS: ' graphile_worker, "Odd, ""schema""" ," ",PgBoss,graphile_worker,',
    RESET_EMPTY_SCHEMAS: 'jobs',
  })

  t.same(config.otherSchemas, {
    ignored: ['graphile_worker', 'Odd, "schema"', ' ', 'PgBoss'],
    emptied: ['jobs'],
  })
})

test('schemas that no other tool can have made, and one in both settings, are refused', async (t) => {
  for (const name of [
    'pg_catalog',
    'information_schema',
    'provisioning',
    'graphile_migrate',
    'pgmq',
  ]) {
    const problems = findProblems(t, { RESET_IGNORE_SCHEMAS: `jobs,${name}` })
    t.match(problems.get('RESET_IGNORE_SCHEMAS'), { given: `"${name}"` })
  }
  const problems = findProblems(t, { RESET_IGNORE_SCHEMAS: 'a,b', RESET_EMPTY_SCHEMAS: 'c,b' })
  t.match(problems.get('RESET_EMPTY_SCHEMAS'), {
    given: '"b", which is also in RESET_IGNORE_SCHEMAS',
  })
})

test('an empty value counts as not set', async (t) => {
  const config = loadConfig({ PORT: '', DATABASE_URL: '', DATABASE_URL_FILE: '', E2E_SCHEMA: '' })

  t.match(config, { port: 8080, databaseUrl: undefined, optionalSchema: { wanted: undefined } })
})

const WRONG: readonly (readonly [string, string])[] = [
  ['PORT', 'http'],
  ['PORT', '-1'],
  ['PORT', '65536'],
  ['PORT', '80.5'],
  ['PORT', ' 80'],
  ['PORT', '0x50'],
  ['EMBEDDED_PORT', '0'],
  ['DATABASE_WAIT_SECONDS', '1m'],
  ['MIGRATION_LOCK_SECONDS', '86401'],
  ['LOCK_TIMEOUT_MS', '2s'],
  ['LOCK_RETRY_SECONDS', '-1'],
  ['WHEN_AHEAD', 'ignore'],
  ['SHUTDOWN_SECONDS', '0'],
  ['E2E_SCHEMA', 'maybe'],
  ['ON_MIGRATION_FAILURE', 'retry'],
  ['RESET_ENABLED', 'yes'],
  ['TEST_DATABASES_MAX', '-1'],
  ['TEST_DATABASES_ADDRESS', 'db.example'],
  ['TEST_DATABASES_ADDRESS', 'db.example:0'],
  ['LOG_LEVEL', 'verbose'],
  ['RESET_IGNORE_SCHEMAS', 'worker.job'],
  ['RESET_IGNORE_SCHEMAS', 'worker, "unclosed'],
  ['RESET_IGNORE_SCHEMAS', '*'],
  ['RESET_EMPTY_SCHEMAS', `a${'ü'.repeat(40)}`],
  ['MIGRATIONS_DIR', '/nowhere'],
]
for (const [name, value] of WRONG) {
  test(`${name}=${value} is an error with the name and the value`, async (t) => {
    const problems = findProblems(t, { [name]: value })

    t.strictSame([...problems.keys()], [name])
    t.match(problems.get(name)?.given, JSON.stringify(value))
    t.ok(problems.get(name)?.expected)
  })
}

for (const url of [
  `mysql://bus:${SECRET}@db/bus`,
  `postgres://${SECRET}`,
  `postgres://db/${SECRET}`,
  `postgres://bus:${SECRET}@db`,
  `postgres://bus:${SECRET}@db:port/bus`,
  // Not encoded: the host would be taken from the middle of the password.
  `postgres://bus:pa@ss/${SECRET}@db/bus`,
  `postgres://bus:${SECRET}@db/bus?sslrootcert=/nowhere/${SECRET}`,
  SECRET,
]) {
  test(`a URL like ${url.replaceAll(SECRET, '…')} is an error that does not repeat it`, async (t) => {
    const names = ['DATABASE_URL', 'SHADOW_DATABASE_URL', 'ROOT_DATABASE_URL']

    const problems = findProblems(t, Object.fromEntries(names.map((name) => [name, url])))

    t.strictSame([...problems.keys()], names)
  })
}

for (const mistaken of [
  URL,
  `postgres:/bus:${SECRET}@db/bus`,
  `bus:${SECRET}@db`,
  `host=db password=${SECRET}`,
  `jdbc:postgresql://db/bus?user=bus&password=${SECRET}`,
]) {
  test(`${mistaken.replaceAll(SECRET, '…')} in another setting by mistake is not repeated`, async (t) => {
    for (const [name] of WRONG) t.ok(findProblems(t, { [name]: mistaken }).has(name), name)
    for (const name of ['HOST', 'EMBEDDED_DATA_DIR']) {
      if (mistaken.includes(':')) t.ok(findProblems(t, { [name]: mistaken }).has(name), name)
    }
  })
}

test('the password of another setting is not repeated, wherever that comes from', async (t) => {
  const password = `it's "${SECRET}"`
  const url = `postgres://bus:${encodeURIComponent(password)}@db/bus`
  const file = join(t.testdir({ url }), 'url')

  for (const source of [{ DATABASE_URL: url }, { SHADOW_DATABASE_URL_FILE: file }]) {
    for (const [name] of WRONG) {
      const problems = findProblems(t, { ...source, [name]: password })
      t.notMatch(problems.get(name)?.given ?? '', SECRET, name)
    }
  }
  t.ok(findProblems(t, { RESET_TOKEN: SECRET, LOG_LEVEL: SECRET }).has('LOG_LEVEL'))
  // A word that a path and a password have in common does not make the path wrong.
  t.doesNotThrow(() =>
    loadConfig({ DATABASE_URL: 'postgres://a:migrations@b/c', MIGRATIONS_DIR: 'migrations' }),
  )
})

test('all wrong settings are reported at once', async (t) => {
  const wrong = Object.fromEntries(WRONG)

  const problems = findProblems(t, { ...wrong, DATABASE_URL: SECRET, RESET_ENABLED: 'on' })

  t.strictSame([...problems.keys()].sort(), [...Object.keys(wrong), 'DATABASE_URL'].sort())
})

test('reset needs a token of 16 characters that fit into a header', async (t) => {
  for (const token of ['', 'fifteen-letters', 'sixteen letters and spaces', 'sechzehnZeichenä']) {
    const problems = findProblems(t, { RESET_ENABLED: 'true', RESET_TOKEN: token })
    t.strictSame([...problems.keys()], ['RESET_TOKEN'], JSON.stringify(token))
  }
  t.doesNotThrow(() => loadConfig({ RESET_ENABLED: 'true', RESET_TOKEN: 'sixteen-letters-' }))
  const both = findProblems(t, { RESET_ENABLED: '1', RESET_TOKEN: 'short' })
  t.strictSame([...both.keys()], ['RESET_ENABLED', 'RESET_TOKEN'])
  t.doesNotThrow(() => loadConfig({ RESET_TOKEN: 'short' }), 'not checked while reset is off')
  const lending = findProblems(t, { TEST_DATABASES_MAX: '1', TEST_DATABASES_TOKEN: 'short' })
  t.strictSame([...lending.keys()], ['TEST_DATABASES_TOKEN'])
})

test('every secret can come from a file, without one trailing newline', async (t) => {
  const folder = t.testdir({
    url: `${URL}\n`,
    token: 'a-token-of-16-ch\n\n',
    windows: `${URL}\r\n`,
  })
  const config = loadConfig({
    DATABASE_URL_FILE: join(folder, 'url'),
    SHADOW_DATABASE_URL_FILE: join(folder, 'windows'),
    ROOT_DATABASE_URL_FILE: join(folder, 'url'),
    RESET_TOKEN_FILE: join(folder, 'token'),
  })

  t.equal(config.databaseUrl, URL)
  t.equal(config.shadowDatabaseUrl, URL)
  t.equal(config.rootDatabaseUrl, URL)
  t.equal(config.resetToken, 'a-token-of-16-ch\n')
})

test('a secret that is given twice, or in an unreadable file, is an error', async (t) => {
  const folder = t.testdir({ url: URL })
  mkdirSync(join(folder, 'directory'))
  writeFileSync(join(folder, 'private'), SECRET)
  chmodSync(join(folder, 'private'), 0o000)

  const twice = findProblems(t, { DATABASE_URL: URL, DATABASE_URL_FILE: join(folder, 'url') })
  const missing = findProblems(t, { DATABASE_URL_FILE: join(folder, 'missing') })
  const swapped = findProblems(t, { DATABASE_URL_FILE: URL, RESET_TOKEN_FILE: SECRET })
  const directory = findProblems(t, {
    RESET_ENABLED: 'true',
    RESET_TOKEN_FILE: join(folder, 'directory'),
  })

  t.strictSame([...twice.keys()], ['DATABASE_URL'])
  t.strictSame([...swapped.keys()], ['DATABASE_URL_FILE', 'RESET_TOKEN_FILE'])
  t.match(missing.get('DATABASE_URL_FILE')?.given, /missing.*ENOENT/)
  t.match(directory.get('RESET_TOKEN_FILE')?.given, /directory.*EISDIR/)
})

test('the service and its embedded server cannot have the same port', async (t) => {
  t.strictSame([...findProblems(t, { PORT: '5555', EMBEDDED_PORT: '5555' }).keys()], ['PORT'])
  t.strictSame([...findProblems(t, { EMBEDDED_PORT: '8080' }).keys()], ['PORT'])
  t.doesNotThrow(() => loadConfig({ DATABASE_URL: URL, EMBEDDED_PORT: '8080' }), 'not started')
})

test('a URL from a file is read again, and its new password is masked', async (t) => {
  const folder = t.testdir({ url: 'postgres://bus:old-password@db/bus' })
  const file = join(folder, 'url')
  const config = loadConfig({ DATABASE_URL_FILE: file })
  t.equal(config.readUrl('DATABASE_URL'), config.databaseUrl)

  writeFileSync(file, 'postgres://bus:new-password@db/bus\n')
  t.equal(config.readUrl('DATABASE_URL'), 'postgres://bus:new-password@db/bus')
  t.equal(createMask(config)('the new-password and the old-password').includes('password'), false)

  writeFileSync(file, `postgres://bus:${SECRET}@db`)
  t.throws(() => config.readUrl('DATABASE_URL'), { code: 'wrong_settings' })
  t.equal(loadConfig({ DATABASE_URL: URL }).readUrl('DATABASE_URL'), URL)
  t.equal(loadConfig({}).readUrl('DATABASE_URL'), undefined)
})

test('what decides which certificates Node.js trusts is passed on, and nothing else of its options', async (t) => {
  const { nodeVariables } = loadConfig({
    NODE_OPTIONS: '--inspect --use-openssl-ca  --tls-min-v1.3 --require ./x.js',
    SSL_CERT_FILE: '/ca.pem',
    NODE_EXTRA_CA_CERTS: '/more.pem',
    NODE_PATH: '/elsewhere',
  })

  t.strictSame(nodeVariables, {
    NODE_OPTIONS: '--use-openssl-ca --tls-min-v1.3',
    SSL_CERT_FILE: '/ca.pem',
    NODE_EXTRA_CA_CERTS: '/more.pem',
  })
})

test('without an embedded server, DATABASE_URL is required', async (t) => {
  const withoutServer = { hasEmbeddedServer: () => false }

  t.strictSame([...findProblems(t, {}, withoutServer).keys()], ['DATABASE_URL'])
  t.doesNotThrow(() => loadConfig({ DATABASE_URL: URL }, withoutServer))
})

test("PostgreSQL's own variables and unknown ones change nothing", async (t) => {
  const config = loadConfig({ PGHOST: 'elsewhere', PGPASSWORD: SECRET, HOSTNAME: 'x' })

  t.strictSame({ ...config, readUrl: null }, { ...loadConfig({}), readUrl: null })
})

test('of other variables, those are read that a .gmrc may ask for, and its secrets masked', async (t) => {
  const folder = createMigrationsFolder(t, [])
  const env = { APP_ROLE: 'app_role_name', APP_PASSWORD: 'only-in-the-environment', OTHER: 'x' }
  const load = () => loadConfig({ ...env, UNSET: '', MIGRATIONS_DIR: folder })
  t.strictSame(load().placeholderVariables, {}, 'without a .gmrc')

  const content = {
    placeholders: { ':APP_ROLE': '!ENV', ':APP_PASSWORD': '!ENV', ':UNSET': '!ENV' },
  }
  writeFileSync(join(folder, '.gmrc'), JSON.stringify(content))

  const config = load()
  t.strictSame(config.placeholderVariables, {
    APP_ROLE: 'app_role_name',
    APP_PASSWORD: 'only-in-the-environment',
  })
  t.equal(createMask(config)('app_role_name only-in-the-environment'), 'app_role_name [hidden]')
})

test('the password of the embedded server is masked, and has to be one line', async (t) => {
  const mask = createMask(loadConfig({ EMBEDDED_PASSWORD: 'the-embedded-password' }))
  t.equal(mask('it is the-embedded-password'), 'it is [hidden]')

  const problems = findProblems(t, { EMBEDDED_PASSWORD: 'two\nlines' })
  t.match(problems.get('EMBEDDED_PASSWORD'), { given: 'a value with control characters' })
})

test('a collector is an HTTP server, without a user and a password', async (t) => {
  for (const given of ['http://collector:4318', 'https://c.example/otlp/']) {
    t.equal(loadConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: given }).otlpEndpoint, given)
  }
  for (const given of [
    ...['collector:4318', 'grpc://c:1', 'http://c/?a=b', `http://me:${SECRET}@c:1`],
  ]) {
    const problems = findProblems(t, { OTEL_EXPORTER_OTLP_ENDPOINT: given })
    t.strictSame([...problems.keys()], ['OTEL_EXPORTER_OTLP_ENDPOINT'], given)
  }
})
