import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/*
 * Git replaces files while they are read, and editors leave links to nothing beside them (`.#f.sql`): a file that is
 * gone once it is read does not exist, and a name that begins with a dot is no migration's.
 */

/** The folder of the committed migrations, in the migrations folder. */
export const COMMITTED = 'committed'

/** Whether a file is one of these; its path is relative to the migrations folder. */
export function isCommitted(file: string): boolean {
  return file.startsWith(join(COMMITTED, '/'))
}

/** Lists the SQL files below the folder, sorted, as paths in it. */
export function listSqlFiles(folder: string, below = ''): string[] {
  const entries = readFolder(join(folder, below)).filter(({ name }) => !name.startsWith('.'))
  const found = entries.flatMap((entry) => {
    const path = join(below, entry.name)
    if (isFolder(entry, join(folder, path))) return listSqlFiles(folder, path)
    return path.endsWith('.sql') ? [path] : []
  })
  return found.sort()
}

/** Reads these files of the folder, without those that are gone. Throws if one cannot be read. */
export function readSqlFiles(folder: string, paths: readonly string[]): [string, string][] {
  return paths.flatMap((path): [string, string][] => {
    const text = readIfThere(join(folder, path))
    return text === undefined ? [] : [[path, text]]
  })
}

/** Reads a file; undefined if there is none. Throws if it cannot be read. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function readFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

function isFolder(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}
