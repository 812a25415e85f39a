import { type SettingProblem, wrongSettingsError } from '../../errors/wrong-settings.ts'
import { type Gmrc, readGmrc } from './gmrc.ts'

/** The part of graphile-migrate's settings that the service uses. */
export interface ToolSettings {
  readonly placeholders: Readonly<Record<string, string>>
  readonly pgSettings: Readonly<Record<string, string>>
  readonly databaseOwner?: string
  readonly manageGraphileMigrateSchema?: boolean
}

const USED = ['placeholders', 'pgSettings', 'databaseOwner', 'manageGraphileMigrateSchema']

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

/** graphile-migrate would run these around the committed migrations, without recording them. */
const FORBIDDEN = ['beforeAllMigrations', 'afterAllMigrations']

/** Reads and validates `.gmrc`; without one, there are no placeholders and no settings. */
export async function loadToolSettings(migrationsDir: string): Promise<ToolSettings> {
  const gmrc = await readGmrc(migrationsDir)
  return gmrc === undefined ? { placeholders: {}, pgSettings: {} } : parseToolSettings(gmrc)
}

/** Picks the settings that the service uses; throws one error that names every wrong one. */
function parseToolSettings({ path, content }: Gmrc): ToolSettings {
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
  for (const [key, value] of Object.entries(settings)) {
    // JSON5 has comments, but graphile-migrate's own template writes them as keys.
    if (key.startsWith('//') || IGNORED.includes(key) || USED.includes(key)) continue
    if (!FORBIDDEN.includes(key)) report(key, 'an unknown key', 'a key of graphile-migrate')
    else if (!isEmpty(value)) report(key, 'actions', 'none: the service runs migrations only')
  }
  for (const [name, value] of Object.entries(isRecord(placeholders) ? placeholders : {})) {
    const key = `placeholders, ${name}`
    if (!/^:[A-Z][0-9A-Z_]+$/.test(name)) report(key, 'this name', 'a name such as :SOME_NAME')
    else if (value === '!ENV')
      report(key, '"!ENV"', 'a literal: the service reads no such variable')
    else if (typeof value !== 'string') report(key, typeOf(value), 'a string')
  }
  for (const [name, value] of Object.entries(isRecord(pgSettings) ? pgSettings : {})) {
    if (typeof value === 'string' || typeof value === 'number') continue
    report(`pgSettings, ${name}`, typeOf(value), 'a string')
  }
  if (!isRecord(placeholders)) report('placeholders', typeOf(placeholders), 'an object')
  if (!isRecord(pgSettings)) report('pgSettings', typeOf(pgSettings), 'an object')
  if (problems.length > 0) throw wrongSettingsError(problems)

  return {
    placeholders: placeholders as Record<string, string>,
    pgSettings: Object.fromEntries(
      Object.entries(pgSettings as object).map(([name, value]) => [name, String(value)]),
    ),
    ...(typeof databaseOwner === 'string' && { databaseOwner }),
    ...(typeof manageGraphileMigrateSchema === 'boolean' && { manageGraphileMigrateSchema }),
  }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0)
}
