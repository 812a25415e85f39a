import type { ServiceError } from '../../errors/service-error.ts'
import { type SettingProblem, wrongSettingsError } from '../../errors/wrong-settings.ts'
import { parseActions, type SqlAction } from './action-settings.ts'
import { type Gmrc, readGmrc } from './gmrc.ts'

/** The part of graphile-migrate's settings that its process gets. */
export interface ToolSettings {
  readonly placeholders: Readonly<Record<string, string>>
  readonly pgSettings: Readonly<Record<string, string>>
  readonly databaseOwner?: string
  readonly manageGraphileMigrateSchema?: boolean
}

/** Everything of a `.gmrc` that the service uses. */
export interface GmrcSettings {
  readonly settings: ToolSettings
  /** Run by the service, around the first and the last migration of a start. */
  readonly actions: Readonly<Record<'before' | 'after', readonly SqlAction[]>>
}

/** Where `.gmrc` is, and the variables that it may ask for. */
export interface GmrcSource {
  readonly migrationsDir: string
  readonly placeholderVariables: Readonly<Record<string, string>>
}

const USED = [
  ...['placeholders', 'pgSettings', 'databaseOwner', 'manageGraphileMigrateSchema'],
  ...['beforeAllMigrations', 'afterAllMigrations'],
]

/** Used by graphile-migrate's development commands only, or replaced by the service's settings. */
const IGNORED = [
  'connectionString',
  'shadowConnectionString',
  'rootConnectionString',
  'migrationsFolder',
  'blankMigrationContent',
  'beforeReset',
  'afterReset',
  'beforeCurrent',
  'afterCurrent',
]

/** Reads and validates `.gmrc`; without one, there are no placeholders, settings and actions. */
export async function loadGmrcSettings(source: GmrcSource): Promise<GmrcSettings> {
  const gmrc = await readGmrc(source.migrationsDir)
  if (gmrc !== undefined) return parseGmrcSettings(gmrc, source)
  return { settings: { placeholders: {}, pgSettings: {} }, actions: { before: [], after: [] } }
}

/** Picks the settings that the service uses; throws one error that names every wrong one. */
function parseGmrcSettings(
  { path, content }: Gmrc,
  { migrationsDir, placeholderVariables }: GmrcSource,
): GmrcSettings {
  const problems: SettingProblem[] = []
  const report = (key: string, given: string, expected: string) =>
    problems.push({ name: `${path}, ${key}`, given, expected })
  const settings = isRecord(content) ? content : {}
  if (!isRecord(content)) report('the whole file', typeOf(content), 'an object')

  const {
    placeholders = {},
    pgSettings = {},
    databaseOwner,
    manageGraphileMigrateSchema,
  } = settings
  for (const key of Object.keys(settings)) {
    // JSON5 has comments, but graphile-migrate's own template writes them as keys.
    if (key.startsWith('//') || IGNORED.includes(key) || USED.includes(key)) continue
    report(key, 'an unknown key', 'a key of graphile-migrate')
  }
  const values: Record<string, string> = {}
  for (const [name, given] of Object.entries(isRecord(placeholders) ? placeholders : {})) {
    const key = `placeholders, ${name}`
    const variable = name.slice(1)
    const value = given === '!ENV' ? placeholderVariables[variable] : given
    if (!/^:[A-Z][0-9A-Z_]+$/.test(name)) report(key, 'this name', 'a name such as :SOME_NAME')
    else if (value === undefined) {
      report(key, '"!ENV"', `the environment variable ${variable}, which is not set or empty`)
    } else if (typeof value !== 'string') report(key, typeOf(value), 'a string')
    else values[name] = value
  }
  for (const [name, value] of Object.entries(isRecord(pgSettings) ? pgSettings : {})) {
    if (typeof value === 'string' || typeof value === 'number') continue
    report(`pgSettings, ${name}`, typeOf(value), 'a string')
  }
  if (!isRecord(placeholders)) report('placeholders', typeOf(placeholders), 'an object')
  if (!isRecord(pgSettings)) report('pgSettings', typeOf(pgSettings), 'an object')
  const options = { migrationsDir, report }
  const actions = {
    before: parseActions('beforeAllMigrations', settings.beforeAllMigrations, options),
    after: parseActions('afterAllMigrations', settings.afterAllMigrations, options),
  }
  if (problems.length > 0) throw wrongSettingsError(problems)

  return {
    settings: {
      placeholders: values,
      pgSettings: Object.fromEntries(
        Object.entries(pgSettings as object).map(([name, value]) => [name, String(value)]),
      ),
      ...(typeof databaseOwner === 'string' && { databaseOwner }),
      ...(typeof manageGraphileMigrateSchema === 'boolean' && { manageGraphileMigrateSchema }),
    },
    actions,
  }
}

/** The error for a setting of `pgSettings` that PostgreSQL refuses with these words. */
export function wrongPgSettingError(setting: string, words: string): ServiceError {
  return wrongSettingsError([
    { name: `.gmrc, pgSettings, ${setting}`, given: words, expected: 'what PostgreSQL accepts' },
  ])
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
