import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import { type HistoryProblem, historyRefusedError } from '../history-error.ts'
import { findBreaks } from './chain.ts'
import { type CommittedMigration, parseMigration, type UnreadableMigration } from './migration.ts'

/** The migrations that can be read, in order, and what is wrong with the other files. */
export interface CommittedFolder {
  readonly migrations: readonly CommittedMigration[]
  readonly problems: readonly HistoryProblem[]
}

/** Reads every committed migration, in order; throws `history_refused` if any file does not fit. */
export function readCommittedMigrations(migrationsDir: string): readonly CommittedMigration[] {
  const { migrations, problems } = readCommittedFolder(migrationsDir)
  if (problems.length > 0) throw historyRefusedError(problems)
  const breaks = findBreaks(migrations)
  if (breaks.length > 0) throw historyRefusedError(breaks)
  if (migrations.length === 0) {
    throw new ServiceError(
      'no_migrations',
      `${join(migrationsDir, 'committed')} holds no committed migration; expected files such as ` +
        '000001-first.sql, made by graphile-migrate commit',
    )
  }
  return migrations
}

const MAX_READINGS = 3

/**
 * Reads the files of `committed/` one by one, without comparing them with each other. If one vanishes
 * between being listed and being read, as when a mounted ConfigMap is updated, reads all of them again.
 */
export function readCommittedFolder(migrationsDir: string): CommittedFolder {
  const folder = join(migrationsDir, 'committed')
  for (let reading = 1; ; reading++) {
    const found = readFiles(folder)
    if (
      reading === MAX_READINGS ||
      !found.problems.some(({ filename }) => isGone(folder, filename))
    )
      return found
  }
}

function readFiles(folder: string): CommittedFolder {
  const problems: HistoryProblem[] = []
  const migrations: CommittedMigration[] = []
  // Synchronous calls read 1,000 files in a sixth of the time that promises take.
  for (const filename of listFiles(folder)) {
    const result = readMigration(folder, filename)
    if ('problem' in result) problems.push({ filename, problem: result.problem })
    else migrations.push(result)
  }
  migrations.sort((a, b) => a.number - b.number)
  return { migrations, problems }
}

/** Dot files are ignored: a mounted ConfigMap has folders such as `..data`, git a `.gitkeep`. */
function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'))
  } catch (cause) {
    throw new ServiceError(
      'no_migrations_folder',
      `${folder} cannot be read (${(cause as NodeJS.ErrnoException).code}); MIGRATIONS_DIR must ` +
        'name a folder that holds a folder committed/',
      { cause },
    )
  }
}

function readMigration(folder: string, filename: string): CommittedMigration | UnreadableMigration {
  const path = join(folder, filename)
  let bytes: Buffer
  try {
    // Symbolic links are followed: the files of a mounted ConfigMap are links.
    if (!statSync(path).isFile()) return { problem: 'is not a file' }
    bytes = readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isBrokenLink = code === 'ENOENT' && !isGone(folder, filename)
    return {
      problem: isBrokenLink
        ? 'is a link to a file that does not exist'
        : `cannot be read (${code})`,
    }
  }
  return parseMigration(filename, bytes)
}

function isGone(folder: string, filename: string): boolean {
  return lstatSync(join(folder, filename), { throwIfNoEntry: false }) === undefined
}
