import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A copy of a migrations folder, for a command that may fail halfway. */
export interface StagedMigrations {
  readonly dir: string
  /** Copies back what the command changed, except for files that changed meanwhile: returns those. */
  takeOver(): string[]
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
  for (const [name, content] of before) replaceFile(join(dir, name), content)
  return {
    dir,
    takeOver() {
      const after = readFiles(dir)
      const now = readFiles(migrationsDir)
      const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
        (name) => !isSame(before.get(name), after.get(name)),
      )
      const conflicts = changed.filter((name) => !isSame(before.get(name), now.get(name)))
      // In this order a fixture is committed before `current.sql` ceases to include it: the loop watches both.
      for (const name of changed.sort()) {
        if (conflicts.includes(name)) continue
        const content = after.get(name)
        if (content === undefined) rmSync(join(migrationsDir, name))
        else replaceFile(join(migrationsDir, name), content)
      }
      return conflicts
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  }
}

/** Reads every file below the folder, by its relative path. */
function readFiles(dir: string): Files {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => statSync(join(dir, name)).isFile())
  return new Map(files.map((name) => [name, readFileSync(join(dir, name))]))
}

/** Writes a file by a rename, readable by every user whatever the umask. */
function replaceFile(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, content)
  chmodSync(temporary, 0o644)
  renameSync(temporary, path)
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}
