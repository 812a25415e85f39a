import { listSources } from './failure.ts'
import { type Place, readPlace } from './locate.ts'
import { readSqlFiles } from './sql-files.ts'

const CREATED = /\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure)\s+([\w."]+)/gi

/** Finds the file and line that a line of a function's body has; undefined if no file creates the function. */
export function findRoutineLine(
  { name, line }: { readonly name: string; readonly line: number },
  migrationsDir: string,
): Place | undefined {
  for (const [file, text] of readSqlFiles(migrationsDir, listSources(migrationsDir))) {
    const created = [...text.matchAll(CREATED)].find(
      ([, found = '']) => found.replaceAll('"', '').toLowerCase() === name.toLowerCase(),
    )
    if (created === undefined) continue
    const quote = text.slice(created.index).search(/\$\w*\$/)
    if (quote === -1) return undefined
    const before = text.slice(0, created.index + quote).split('\n').length
    return readPlace({ file, line: before + line - 1 }, migrationsDir)
  }
  return undefined
}
