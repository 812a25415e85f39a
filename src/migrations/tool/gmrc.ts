import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type SettingProblem, wrongSettings } from '../../config/env.ts'

/** What the service takes from graphile-migrate's settings file. */
export interface ToolSettings {
  readonly placeholders: Readonly<Record<string, string>>
  readonly pgSettings: Readonly<Record<string, string>>
  readonly databaseOwner?: string
  readonly manageGraphileMigrateSchema?: boolean
}

/** For graphile-migrate's development commands, or given to the service by its own settings. */
const IGNORED = new Set([
  'connectionString',
  'shadowConnectionString',
  'rootConnectionString',
  'migrationsFolder',
  'blankMigrationContent',
  'beforeReset',
  'afterReset',
  'beforeCurrent',
  'afterCurrent',
])

/** The tool would run these around the committed migrations, outside of their history. */
const REFUSED = ['beforeAllMigrations', 'afterAllMigrations']

/** What the service honours of the settings file; none is needed. */
export async function loadGmrc(migrationsDir: string): Promise<ToolSettings> {
  const gmrc = await readGmrc(migrationsDir)
  return gmrc === undefined
    ? { placeholders: {}, pgSettings: {} }
    : pickToolSettings(gmrc.path, gmrc.content)
}

/**
 * Reads the `.gmrc` inside the migrations folder, so that it can be mounted with it, or else the one
 * beside the folder, where graphile-migrate's own command looks for it.
 */
export async function readGmrc(
  migrationsDir: string,
): Promise<{ readonly path: string; readonly content: unknown } | undefined> {
  const path = findFile(migrationsDir)
  if (path === undefined) return undefined
  if (!path.endsWith('.gmrc')) {
    throw wrongSettings([{ name: path, given: 'a program', expected: 'a file .gmrc (JSON5)' }])
  }
  const { default: json5 } = await import('json5')
  try {
    return { path, content: json5.parse(readFileSync(path, 'utf8')) }
  } catch (error) {
    throw wrongSettings([
      { name: path, given: (error as Error).message, expected: 'a readable JSON5 file' },
    ])
  }
}

function findFile(migrationsDir: string): string | undefined {
  const folders = [migrationsDir, dirname(migrationsDir)]
  const names = ['.gmrc', '.gmrc.js', '.gmrc.cjs']
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path))
}

/** Keeps what the service honours, and names everything that it cannot. */
export function pickToolSettings(path: string, content: unknown): ToolSettings {
  const problems: SettingProblem[] = []
  const refuse = (key: string, given: string, expected: string) =>
    problems.push({ name: `${path}, ${key}`, given, expected })
  const settings = isRecord(content) ? content : {}
  if (!isRecord(content)) refuse('all of it', typeof content, 'an object')

  const {
    placeholders = {},
    pgSettings = {},
    databaseOwner,
    manageGraphileMigrateSchema,
  } = settings
  const known = ['placeholders', 'pgSettings', 'databaseOwner', 'manageGraphileMigrateSchema']
  for (const [key, value] of Object.entries(settings)) {
    if (key.startsWith('//') || IGNORED.has(key) || known.includes(key)) continue
    if (!REFUSED.includes(key)) refuse(key, 'an unknown key', 'a key of graphile-migrate')
    else if (!isEmpty(value)) refuse(key, 'actions', 'none: the service runs migrations only')
  }
  for (const [name, value] of Object.entries(isRecord(placeholders) ? placeholders : {})) {
    const key = `placeholders, ${name}`
    if (!/^:[A-Z][0-9A-Z_]+$/.test(name)) refuse(key, 'this name', 'a name such as :SOME_NAME')
    else if (value === '!ENV')
      refuse(key, '"!ENV"', 'a literal: the service reads no such variable')
    else if (typeof value !== 'string') refuse(key, typeof value, 'a string')
  }
  for (const [name, value] of Object.entries(isRecord(pgSettings) ? pgSettings : {})) {
    if (typeof value === 'string' || typeof value === 'number') continue
    refuse(`pgSettings, ${name}`, typeof value, 'a string')
  }
  if (!isRecord(placeholders)) refuse('placeholders', typeof placeholders, 'an object')
  if (!isRecord(pgSettings)) refuse('pgSettings', typeof pgSettings, 'an object')
  if (problems.length > 0) throw wrongSettings(problems)

  return {
    placeholders: placeholders as Record<string, string>,
    pgSettings: Object.fromEntries(
      Object.entries(pgSettings as object).map(([name, value]) => [name, String(value)]),
    ),
    ...(typeof databaseOwner === 'string' && { databaseOwner }),
    ...(typeof manageGraphileMigrateSchema === 'boolean' && { manageGraphileMigrateSchema }),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0)
}
