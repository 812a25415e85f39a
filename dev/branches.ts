import { readFileSync, writeFileSync } from 'node:fs'
import { escapeIdentifier } from 'pg'
import type { Config } from '../src/config/config.ts'
import { findDataDir } from '../src/database/embedded/home.ts'
import { readCommittedMigrations } from '../src/migrations/files/committed.ts'
import { readAppliedMigrations } from '../src/migrations/history.ts'
import type { Queryable } from '../src/postgres/client.ts'
import type { DevelopmentDatabase } from './database.ts'
import { withClient } from './with-client.ts'

/*
 * Each branch of git may have another history of migrations, and a database fits one history only. The hash of
 * the last migration names a whole history, since it covers the hash before it. Beside the database in use, the
 * embedded server keeps databases `<name>_at_<hash>`, which other branches have used, with their rows, and
 * templates `<name>_template_<hash>`, which only the migrations have made.
 */

export interface Branching {
  readonly config: Config
  /** Of the embedded server. */
  readonly database: DevelopmentDatabase
  readonly signal: AbortSignal
}

/**
 * Puts a database in use whose history is the beginning of the committed files, and keeps the one that was in use:
 * - if these files had a database before, that one;
 * - if the one in use only lacks migrations, that one, after a copy of it was made for the branch that it fits;
 * - otherwise a copy of the template with the longest history, or an empty one.
 * Returns what was done, as a sentence; undefined if nothing. No other session may use the database.
 */
export async function followHistory({ config, database }: Branching): Promise<string | undefined> {
  const { name } = database
  const hashes = await readHashes(config)
  const applied = await withClient(database.url, readAppliedMigrations)
  const last = applied.at(-1)?.hash
  if (last === undefined || last === hashes.at(-1)) return undefined
  return withClient(rootOf(database), async (root) => {
    const existing = await listDatabases(root, name)
    const own = `${name}_at_${shorten(hashes.at(-1) ?? 'none')}`
    const kept = `${name}_at_${shorten(last)}`
    const hasOwn = existing.includes(own)
    if (!hasOwn && hashes.includes(last)) {
      if (existing.includes(kept)) return undefined
      await createCopy(root, kept, name)
      return `the database lacks migrations of this branch; a copy without them is kept as ${kept}`
    }
    const parked = findFreeName(kept, existing)
    await root.query(
      `alter database ${escapeIdentifier(name)} rename to ${escapeIdentifier(parked)}`,
    )
    const before = `the database of another branch is kept as ${parked}`
    if (hasOwn) {
      await root.query(
        `alter database ${escapeIdentifier(own)} rename to ${escapeIdentifier(name)}`,
      )
      return `${before}; the one of this branch is in use again`
    }
    const template = findTemplate(name, hashes, existing)
    await createCopy(root, name, template)
    return `${before}; this branch has a new one, ${template ? `copied from ${template}` : 'empty'}`
  })
}

/**
 * Whether the database in use may have another history than the committed files: they are not those that it was
 * used with last. It says so from a file, without the server.
 */
export async function mayHaveOtherHistory(config: Config): Promise<boolean> {
  const known = readFileOrNothing(historyFileOf(config))
  return known !== undefined && known !== ((await readHashes(config)).at(-1) ?? '')
}

/** Notes that the database in use has the history of the committed files. */
export async function noteHistory(config: Config): Promise<void> {
  writeFileSync(historyFileOf(config), (await readHashes(config)).at(-1) ?? '')
}

function historyFileOf(config: Config): string {
  return `${findDataDir(config.embeddedDataDir)}.history`
}

function readFileOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Reads the hashes of the committed migrations, in their order. */
export async function readHashes({ migrationsDir }: Config): Promise<string[]> {
  return (await readCommittedMigrations(migrationsDir)).map(({ hash }) => hash)
}

/** Finds the template whose history is the longest beginning of this one. */
export function findTemplate(
  name: string,
  hashes: readonly string[],
  existing: readonly string[],
): string | undefined {
  const templates = hashes.map((hash) => `${name}_template_${shorten(hash)}`)
  return templates.findLast((template) => existing.includes(template))
}

/** Creates a database, as a copy of the template or empty. */
export async function createCopy(
  root: Queryable,
  name: string,
  template: string | undefined,
): Promise<void> {
  // Copying its files instead would take two checkpoints, which take longer on a small database.
  const from =
    template === undefined ? '' : ` template ${escapeIdentifier(template)} strategy wal_log`
  await root.query(`create database ${escapeIdentifier(name)}${from}`)
}

/** Lists the databases beside the one in use. */
export async function listDatabases(root: Queryable, name: string): Promise<string[]> {
  const { rows } = await root.query<{ datname: string }>(
    'select datname from pg_database where starts_with(datname, $1)',
    [`${name}_`],
  )
  return rows.map(({ datname }) => datname)
}

function findFreeName(wanted: string, existing: readonly string[]): string {
  let candidate = wanted
  for (let number = 2; existing.includes(candidate); number++) candidate = `${wanted}_${number}`
  return candidate
}

/** Shortens a hash for the name of a database: `sha1:f0ff3ec45f03d3ff…` becomes `f0ff3ec45f03`. */
export function shorten(hash: string): string {
  return hash.replace(/^\w+:/, '').slice(0, 12)
}

/** The URL from which databases can be created. */
export function rootOf({ rootUrl }: DevelopmentDatabase): string {
  if (rootUrl === undefined) throw new Error('only the embedded server follows branches')
  return rootUrl
}
