import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  compile,
  listIncluded,
  readCommittedFixtures,
  readFixtures,
  type Texts,
} from './fixtures.ts'
import { updateIncludeList } from './include-list.ts'

/** What the uncommitted migration includes, and what is committed. */
export interface Prepared {
  readonly included: ReadonlySet<string>
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
  if (isFolder) return { included: new Set(fixtures.keys()), committed }
  const text = readText(path)
  const updated = updateIncludeList(text, fixtures, committed)
  const included = new Set(listIncluded(compile(updated, fixtures)).map(([name]) => name))
  if (updated === text) return { included, committed }
  try {
    // In place: the file keeps its owner and its rights, also through a mount.
    writeFileSync(path, updated)
    return { included, committed, written: updated }
  } catch (error) {
    return { included, committed, problem: (error as Error).message }
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The tool makes the file.
    return ''
  }
}
