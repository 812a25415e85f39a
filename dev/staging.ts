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

/** A copy of a migrations folder, for a command that may fail half way. */
export interface StagedMigrations {
  readonly dir: string
  /** Takes over what the command changed; returns the files that somebody else changed meanwhile. */
  takeOver(): string[]
  remove(): void
}

type Files = Map<string, Buffer>

/**
 * Copies a migrations folder. The command's changes reach the folder only when it has succeeded, so
 * a failure, or a kill, leaves every byte as it was, and a watch sees no file half changed.
 */
export function stageMigrations(migrationsDir: string): StagedMigrations {
  const parent = mkdtempSync(join(tmpdir(), 'commandbus-db-'))
  const dir = join(parent, 'migrations')
  const before = readFiles(migrationsDir)
  for (const [name, content] of before) writeNew(join(dir, name), content)
  return {
    dir,
    takeOver() {
      const after = readFiles(dir)
      const now = readFiles(migrationsDir)
      const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
        (name) => !isSame(before.get(name), after.get(name)),
      )
      const kept = changed.filter((name) => !isSame(before.get(name), now.get(name)))
      for (const name of changed) {
        if (kept.includes(name)) continue
        const content = after.get(name)
        if (content === undefined) rmSync(join(migrationsDir, name))
        else writeNew(join(migrationsDir, name), content)
      }
      return kept
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  }
}

/** Every file below the folder, by its path in it. */
function readFiles(dir: string): Files {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => statSync(join(dir, name)).isFile())
  return new Map(files.map((name) => [name, readFileSync(join(dir, name))]))
}

/** Puts a file into its place whole, readable by everybody, whatever the umask. */
function writeNew(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true })
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, content)
  chmodSync(fresh, 0o644)
  renameSync(fresh, path)
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}
