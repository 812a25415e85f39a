import { join } from 'node:path'
import { COMMITTED, listSqlFiles, readSqlFiles } from './sql-files.ts'

/** Texts by path below `fixtures/`. */
export type Texts = ReadonlyMap<string, string>

const INCLUDE = /^--![ \t]*include[ \t]+(.*\.sql)[ \t]*$/gm
const INCLUDED = /^--! Included (.*\.sql)$/
const END_INCLUDED = /^--! EndIncluded .*\.sql$/

/** Reads all fixtures. */
export function readFixtures(migrationsDir: string): Texts {
  const folder = join(migrationsDir, 'fixtures')
  return new Map(readSqlFiles(folder, listSqlFiles(folder)))
}

/** Reads what the committed migrations included last of each fixture, in their order. */
export function readCommittedFixtures(migrationsDir: string): Texts {
  const folder = join(migrationsDir, COMMITTED)
  const found = new Map<string, string>()
  for (const [, migration] of readSqlFiles(folder, listSqlFiles(folder))) {
    for (const [path, text] of listIncluded(migration)) {
      // A map keeps the place of its first entry.
      found.delete(path)
      found.set(path, text)
    }
  }
  return found
}

/** Lists what a text that graphile-migrate compiled includes. */
export function listIncluded(compiled: string): [path: string, text: string][] {
  const found: [string, string][] = []
  const open: { path: string; firstLine: number }[] = []
  const lines = compiled.split('\n')
  lines.forEach((line, index) => {
    const [, path] = INCLUDED.exec(line) ?? []
    if (path !== undefined) open.push({ path, firstLine: index + 1 })
    if (!END_INCLUDED.test(line)) return
    const ended = open.pop()
    if (ended) found.push([ended.path, lines.slice(ended.firstLine, index).join('\n')])
  })
  return found
}

/** Compiles a text as graphile-migrate does; an include that does not exist, or of itself, is left as it is. */
export function compile(text: string, fixtures: Texts, within: readonly string[] = []): string {
  return text.replace(INCLUDE, (line, path: string) => {
    const included = fixtures.get(path)
    if (included === undefined || within.includes(path)) return line
    const compiled = compile(included, fixtures, [...within, path])
    return `--! Included ${path}\n${compiled.trim()}\n--! EndIncluded ${path}`
  })
}
