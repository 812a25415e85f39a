import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { HistoryProblem } from '../history-error.ts'
import { describeRefusal, findRefusal } from '../tool/refusal.ts'
import { readHeaders } from './headers.ts'
import { findIgnoredHeader, isOutsideTransaction } from './ignored-header.ts'
import { findWrongInclude, listIncludes } from './includes.ts'
import { findInvisibleCharacter } from './invisible.ts'
import { decodeText } from './text.ts'

/** Whether there is no uncommitted migration: `current.sql` or `current/` has comments at most. */
export function isCurrentEmpty(migrationsDir: string): boolean {
  return listCurrent(migrationsDir).every((name) =>
    hasNoStatement(readFileSync(join(migrationsDir, name), 'utf8')),
  )
}

/**
 * Finds what is wrong with the files of the uncommitted migration, and with the fixtures that it
 * includes: a commit would copy their text as it was decoded, statements that cannot run included.
 */
export function findCurrentProblems(migrationsDir: string): HistoryProblem[] {
  const problems: HistoryProblem[] = []
  const names = new Set(listCurrent(migrationsDir))
  let noTransaction: boolean | undefined
  for (const name of names) {
    const path = join(migrationsDir, name)
    // The tool reports an include that does not exist.
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue
    const decoded = decodeText(readFileSync(path))
    if ('problem' in decoded) {
      problems.push({ filename: name, problem: decoded.problem })
      continue
    }
    const { text } = decoded
    // The first file says it for all, since they become one.
    noTransaction ??= isOutsideTransaction(skipHeaders(text))
    const problem =
      findIgnoredHeader(text) ??
      findWrongInclude(text) ??
      findInvisibleCharacter(text) ??
      findRefusedStatement(text, noTransaction)
    if (problem !== undefined) problems.push({ filename: name, problem })
    for (const include of listIncludes(text)) names.add(join('fixtures', include))
  }
  return problems
}

/** Lists the files of the uncommitted migration, relative to the migrations folder. */
export function listCurrent(migrationsDir: string): string[] {
  const folder = join(migrationsDir, 'current')
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    const names = readdirSync(folder).filter((name) => /^[^.].*\.sql$/.test(name))
    return names.map((name) => join('current', name))
  }
  const name = 'current.sql'
  return statSync(join(migrationsDir, name), { throwIfNoEntry: false }) ? [name] : []
}

function skipHeaders(text: string): string {
  return text.split('\n').slice(readHeaders(text).lineCount).join('\n')
}

function findRefusedStatement(text: string, noTransaction: boolean): string | undefined {
  const refusal = findRefusal(text, { noTransaction })
  if (refusal === undefined) return undefined
  const line = text.slice(0, refusal.offset).split('\n').length
  return `has a statement that no migration may have, ${describeRefusal(refusal, line)}`
}

/** Whether a text has comments at most. */
export function hasNoStatement(sql: string): boolean {
  // A comment `--!include` stands for the statements of another file.
  if (/^--![ \t]*include\b/im.test(sql)) return false
  return (
    sql
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/--.*$/gm, '')
      .trim() === ''
  )
}
