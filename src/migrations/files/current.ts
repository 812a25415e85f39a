import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Whether there is no uncommitted migration: `current.sql` or `current/` has comments at most. */
export function isCurrentEmpty(migrationsDir: string): boolean {
  return readCurrent(migrationsDir).every((text) => hasNoStatement(text))
}

function readCurrent(migrationsDir: string): string[] {
  const folder = join(migrationsDir, 'current')
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    const files = readdirSync(folder).filter((name) => /^[^.].*\.sql$/.test(name))
    return files.map((name) => readFileSync(join(folder, name), 'utf8'))
  }
  const file = join(migrationsDir, 'current.sql')
  return statSync(file, { throwIfNoEntry: false }) ? [readFileSync(file, 'utf8')] : []
}

function hasNoStatement(sql: string): boolean {
  // A comment `--!include` stands for the statements of another file.
  if (/^--![ \t]*include\b/im.test(sql)) return false
  return (
    sql
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/--.*$/gm, '')
      .trim() === ''
  )
}
