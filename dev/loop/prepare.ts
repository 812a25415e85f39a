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
  /** Why the list of changed fixtures could not be written. */
  readonly problem?: string
}

/**
 * Brings the list of changed fixtures in `current.sql` up to date. A folder `current/` has no such list: there
 * the author includes fixtures.
 */
export function prepareCurrent(migrationsDir: string): Prepared {
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
  const compiled = compile(updated, fixtures)
  const included = new Set(listIncluded(compiled).map(([name]) => name))
  const prepared = { included, compiled, committed }
  if (updated === text) return prepared
  try {
    // In place: the file keeps its owner and its rights, also through a mount.
    writeFileSync(path, updated)
    return { ...prepared, written: updated }
  } catch (error) {
    return { ...prepared, problem: (error as Error).message }
  }
}
