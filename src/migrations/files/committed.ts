import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
} from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import { type HistoryProblem, historyRefusedError } from '../history-error.ts'
import { findBreaks } from './chain.ts'
import {
  type CommittedMigration,
  createMigrationParser,
  type UnreadableMigration,
} from './migration.ts'
import { createPauses, type Pause, PIECE_BYTES, readPieces } from './pieces.ts'
import { createUsualReader } from './usual.ts'

/** The migrations that can be read, in order, and what is wrong with the other files. */
export interface CommittedFolder {
  readonly migrations: readonly CommittedMigration[]
  readonly problems: readonly HistoryProblem[]
}

/** Reads every committed migration, in order; throws `history_refused` if any file does not fit. */
export async function readCommittedMigrations(
  migrationsDir: string,
): Promise<readonly CommittedMigration[]> {
  const { migrations, problems } = await readCommittedFolder(migrationsDir)
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
export async function readCommittedFolder(migrationsDir: string): Promise<CommittedFolder> {
  const folder = join(migrationsDir, 'committed')
  for (let reading = 1; ; reading++) {
    const found = await readFiles(folder)
    if (
      reading === MAX_READINGS ||
      !found.problems.some(({ filename }) => isGone(folder, filename))
    )
      return found
  }
}

async function readFiles(folder: string): Promise<CommittedFolder> {
  const pause = createPauses()
  const readUsual = createUsualReader()
  const read = createFileReader()
  const problems: HistoryProblem[] = []
  const migrations: CommittedMigration[] = []
  for (const filename of listFiles(folder)) {
    const usual = readUsual(`${folder}/${filename}`)
    const result = usual ?? (await readMigration(folder, filename, read, pause))
    if ('problem' in result) problems.push({ filename, problem: result.problem })
    else migrations.push(result)
    // Not awaited each time: that alone would take as long as to read the file.
    const pausing = pause()
    if (pausing !== undefined) await pausing
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

/** Reads one file: all of it, `large` for one of more than a piece, or undefined for what is no file. */
type ReadFile = (path: string) => Buffer | 'large' | undefined

/** Creates a reader with one buffer for all files. Synchronous: promises take six times as long for 1,000. */
function createFileReader(): ReadFile {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES)
  // Symbolic links are followed: the files of a mounted ConfigMap are links. A pipe is not waited for.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK
  return (path) => {
    const file = openSync(path, flags)
    try {
      const stats = fstatSync(file)
      if (!stats.isFile()) return undefined
      if (stats.size >= PIECE_BYTES) return 'large'
      let length = 0
      while (length < stats.size) {
        const bytesRead = readSync(file, buffer, length, stats.size - length, null)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return buffer.subarray(0, length)
    } finally {
      closeSync(file)
    }
  }
}

async function readMigration(
  folder: string,
  filename: string,
  read: ReadFile,
  pause: Pause,
): Promise<CommittedMigration | UnreadableMigration> {
  const path = `${folder}/${filename}`
  const parser = createMigrationParser(path)
  try {
    const bytes = read(path)
    if (bytes === undefined) return { problem: 'is not a file' }
    if (bytes !== 'large') parser.read(bytes)
    else {
      for await (const piece of readPieces(path)) {
        if (!parser.read(piece)) break
        await pause()
      }
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isBrokenLink = code === 'ENOENT' && !isGone(folder, filename)
    return {
      problem: isBrokenLink
        ? 'is a link to a file that does not exist'
        : `cannot be read (${code})`,
    }
  }
  return parser.finish()
}

function isGone(folder: string, filename: string): boolean {
  return lstatSync(join(folder, filename), { throwIfNoEntry: false }) === undefined
}
