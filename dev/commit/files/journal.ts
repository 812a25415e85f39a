import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/** A file that a command adds, changes or removes. */
export interface FileChange {
  /** From the folder above the migrations folder. */
  readonly path: string
  /** Undefined: there is no such file. */
  readonly before: Buffer | undefined
  readonly after: Buffer | undefined
}

/** What a command is about to do to the files, once the database has it. */
export interface Journal {
  readonly command: 'db:commit' | 'db:uncommit'
  /** Of the migration that is committed or uncommitted. */
  readonly hash: string
  readonly changes: readonly FileChange[]
}

type Stored = Omit<Journal, 'changes'> & {
  changes: { path: string; before: string | null; after: string | null }[]
}

const journalPath = (migrationsDir: string) => join(migrationsDir, '.unfinished-commit.json')

/**
 * Writes what the command will do to the files. The database is changed next, then the files, then the journal is removed:
 * so a command that is killed is either completed by the next one, or has changed nothing.
 */
export function writeJournal(migrationsDir: string, journal: Journal): void {
  const encode = (content: Buffer | undefined) => content?.toString('base64') ?? null
  const changes = journal.changes.map(({ path, before, after }) => ({
    path,
    before: encode(before),
    after: encode(after),
  }))
  replaceFile(journalPath(migrationsDir), Buffer.from(JSON.stringify({ ...journal, changes })))
}

/** Reads the journal of a command that was killed; undefined if there is none. */
export function readJournal(migrationsDir: string): Journal | undefined {
  if (!existsSync(journalPath(migrationsDir))) return undefined
  const stored = JSON.parse(readFileSync(journalPath(migrationsDir), 'utf8')) as Stored
  const decode = (content: string | null) =>
    content === null ? undefined : Buffer.from(content, 'base64')
  const changes = stored.changes.map(({ path, before, after }) => ({
    path,
    before: decode(before),
    after: decode(after),
  }))
  return { ...stored, changes }
}

export function removeJournal(migrationsDir: string): void {
  rmSync(journalPath(migrationsDir), { force: true })
}

/** Makes the changes, except for files that are neither as before nor as after: returns those. */
export function makeChanges(migrationsDir: string, changes: readonly FileChange[]): string[] {
  const root = dirname(migrationsDir)
  const conflicts: string[] = []
  // In this order a fixture is committed before `current.sql` ceases to include it: the loop watches both.
  for (const { path, before, after } of [...changes].sort(byPath)) {
    const file = join(root, path)
    const now = readIfExists(file)
    if (isSame(now, after)) continue
    if (!isSame(now, before)) conflicts.push(path)
    else if (after === undefined) rmSync(file)
    else replaceFile(file, after)
  }
  return conflicts
}

const byPath = (one: FileChange, other: FileChange) => (one.path < other.path ? -1 : 1)

export function readIfExists(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path) : undefined
}

export function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

/** Writes a file by a rename. A new one can be read by every user, whatever the umask. */
function replaceFile(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true })
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o644
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, content)
  chmodSync(temporary, mode & 0o777)
  renameSync(temporary, path)
}
