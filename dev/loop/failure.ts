import type { DatabaseError } from 'pg'
import { findCurrentProblems } from '../../src/migrations/files/current.ts'
import { findCurrentPlace, findPlace, type Place, readPlace, type Sources } from './locate.ts'
import { isCommitted, listSqlFiles, readSqlFiles } from './sql-files.ts'
import type { FailedQuery } from './tool-session.ts'

/** Why the uncommitted migration was not applied. */
export interface Failure {
  /** PostgreSQL's own words, or the tool's. */
  readonly message: string
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** The functions that were running, where the place is not the statement that failed. */
  readonly context?: string | undefined
  readonly place?: Place | undefined
}

/** Finds what a commit would refuse: then none of it is run. */
export function findRefusal(migrationsDir: string): Failure | undefined {
  const [found] = findCurrentProblems(migrationsDir)
  if (found === undefined) return undefined
  const [, line] = /line (\d+)/.exec(found.problem) ?? []
  const message = found.problem.replace(/^(?:is|has) /, '').replace(/, line \d+:/, ':')
  const place = readPlace({ file: found.filename, line: Number(line ?? 1) }, migrationsDir)
  return { message, place }
}

/** Describes what PostgreSQL said about the text of the uncommitted migration. */
export function describeFailure(failed: FailedQuery, sources: Sources): Failure {
  const { message, code, detail, hint, position, where } = failed.error as DatabaseError
  const place = findPlace({ ...failed, position, where }, sources)
  const context = position === undefined ? where : undefined
  return { message, code, detail, hint, context, place }
}

/** Describes an error of the tool's own, such as a file that is to be included and does not exist. */
export function describeToolError(error: unknown, sources: Sources): Failure {
  const { message } = error as Error
  const { migrationsDir } = sources
  const relative = message.replaceAll(`${migrationsDir}/`, '')
  const [, missing] = /^Include of '(.+?)' failed/.exec(message) ?? []
  if (missing !== undefined) {
    const place = findLine(`--!include ${missing}`, migrationsDir)
    return { message: `fixtures/${missing} does not exist`, place }
  }
  const [, circle, trace] = /^Circular include .*: `(.*)`; trace:\n([\s\S]*)/.exec(relative) ?? []
  if (circle !== undefined && trace !== undefined) {
    const [includer = '', ...others] = trace.split('\n').map((line) => line.trim())
    const place = findLine(circle, migrationsDir, [includer])
    const included = circle.replace(/^.*include\s+/, 'fixtures/').trim()
    const chain = [...others.reverse(), includer, included].join(' → ')
    return { message: `${included} includes itself: ${chain}`, place }
  }
  const [, line, column, problem] = UNREADABLE.exec(message) ?? []
  if (problem === undefined) return { message: relative }
  const place = findCurrentPlace(Number(line), Number(column), sources)
  return { message: MEANINGS[problem] ?? problem, place, hint: UNREADABLE_HINT }
}

/** How graphile-migrate says that it cannot tell comments from text. */
const UNREADABLE = /^Error parsing SQL at \{line:(\d+),col:(\d+)\}: (.*)\.$/

const MEANINGS: Readonly<Record<string, string>> = {
  'Unclosed text block': 'a quote is opened here and never closed',
  'Unclosed multi-line comment': 'a comment is opened here and never closed',
  'Unclosed quoted identifier': 'a quoted name is opened here and never closed',
  'Multi-line quoted identifiers are not supported': 'a quoted name does not end on its line',
}

const UNREADABLE_HINT =
  "If it is closed: graphile-migrate knows neither the quotes $name$ nor E'\\''; write $$ around a body and '' for a quote."

/** Where the uncommitted migration, or a fixture, has a line. */
function findLine(
  wanted: string,
  migrationsDir: string,
  files = listSources(migrationsDir),
): Place | undefined {
  for (const [file, text] of readSqlFiles(migrationsDir, files)) {
    const lines = text.split('\n')
    const index = lines.findIndex((line) => line.replaceAll(/\s+/g, ' ').trim() === wanted)
    if (index >= 0) return readPlace({ file, line: index + 1 }, migrationsDir)
  }
  return undefined
}

/** Lists the files of the uncommitted migration and all fixtures, relative to the migrations folder. */
export function listSources(migrationsDir: string): string[] {
  return listSqlFiles(migrationsDir).filter((file) => !isCommitted(file))
}
