import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  compile,
  listIncluded,
  readCommittedFixtures,
  readFixtures,
  type Texts,
} from './fixtures.ts'
import { updateIncludeList } from './include-list.ts'
import { listSqlFiles, readIfThere, readSqlFiles } from './sql-files.ts'

/** What the uncommitted migration includes, and what is committed. */
export interface Prepared {
  readonly included: ReadonlySet<string>
  /** `current.sql` with what it includes; of a folder `current/`, all fixtures. */
  readonly compiled: string
  readonly committed: Texts
  /** `current.sql` as it was written; undefined if it was right. */
  readonly written?: string
  /** Why the list of changed fixtures could not be written, and which fixtures are not applied because of that. */
  readonly problem?: string
}

/**
 * Brings the list of changed fixtures in `current.sql` up to date. A folder `current/` has no such list: there
 * the author includes fixtures. `write` writes the file, and throws if it cannot.
 */
export function prepareCurrent(
  migrationsDir: string,
  write: (path: string, text: string) => void = writeFileSync,
): Prepared {
  const path = join(migrationsDir, 'current.sql')
  const fixtures = readFixtures(migrationsDir)
  const committed = readCommittedFixtures(migrationsDir)
  const isFolder = statSync(join(migrationsDir, 'current'), {
    throwIfNoEntry: false,
  })?.isDirectory()
  if (isFolder) {
    const folder = join(migrationsDir, 'current')
    const parts = readSqlFiles(folder, listSqlFiles(folder)).map(([, text]) => text)
    const compiled = [...parts, ...fixtures.values()].join('\n')
    return { included: new Set(fixtures.keys()), committed, compiled }
  }
  // The tool makes the file.
  const text = readIfThere(path) ?? ''
  const updated = updateIncludeList(text, fixtures, committed)
  const describe = (current: string): Prepared => {
    const compiled = compile(current, fixtures)
    return { included: new Set(listIncluded(compiled).map(([name]) => name)), compiled, committed }
  }
  if (updated === text) return describe(text)
  try {
    // In place: the file keeps its owner and its rights, also through a mount.
    write(path, updated)
    return { ...describe(updated), written: updated }
  } catch (error) {
    const prepared = describe(text)
    const missing = [...describe(updated).included].filter((name) => !prepared.included.has(name))
    return { ...prepared, problem: describeProblem(missing, error as Error) }
  }
}

function describeProblem(missing: readonly string[], { message }: Error): string {
  const reason = `the list in current.sql could not be brought up to date: ${message}`
  const todo = 'make the file writable, or change the list by hand'
  if (missing.length === 0) return `${reason}; ${todo}`
  return `not applied: ${missing.map((name) => `fixtures/${name}`).join(', ')}; ${reason}; ${todo}`
}
