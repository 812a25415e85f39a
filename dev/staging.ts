import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type FileChange, isSame } from './commit/files/journal.ts'

/** A copy of a migrations folder, for a command that may fail halfway. */
export interface StagedMigrations {
  readonly dir: string
  /** Lists what differs from when it was copied. */
  listChanges(): FileChange[]
  remove(): void
}

type Files = Map<string, Buffer>

/**
 * Copies a migrations folder. The folder gets the command's changes only after it succeeded: a
 * failure or a kill leaves every byte unchanged, and a watch never sees a file half written.
 */
export function stageMigrations(migrationsDir: string): StagedMigrations {
  const parent = mkdtempSync(join(tmpdir(), 'commandbus-db-'))
  const dir = join(parent, 'migrations')
  const before = readFiles(migrationsDir)
  for (const [name, content] of before) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), content)
  }
  return {
    dir,
    listChanges() {
      const after = readFiles(dir)
      return [...new Set([...before.keys(), ...after.keys()])]
        .filter((name) => !isSame(before.get(name), after.get(name)))
        .map((name) => ({
          path: join(basename(migrationsDir), name),
          before: before.get(name),
          after: after.get(name),
        }))
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  }
}

/** Reads every file below the folder that is not hidden, by its relative path. */
function readFiles(dir: string): Files {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  const files = names.filter(
    (name) => !basename(name).startsWith('.') && statSync(join(dir, name)).isFile(),
  )
  return new Map(files.map((name) => [name, readFileSync(join(dir, name))]))
}
