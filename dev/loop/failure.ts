import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseError } from 'pg'
import { findCurrentProblems } from '../../src/migrations/files/current.ts'
import { findPlace, type Place, readPlace, type Sources } from './locate.ts'
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
export function describeToolError(error: unknown, migrationsDir: string): Failure {
  const { message } = error as Error
  const [, missing] = /^Include of '(.+?)' failed/.exec(message) ?? []
  if (missing === undefined) return { message: message.replaceAll(`${migrationsDir}/`, '') }
  return {
    message: `fixtures/${missing} does not exist`,
    place: findLine(`--!include ${missing}`, migrationsDir),
  }
}

/** Where the uncommitted migration, or a fixture, has a line. */
function findLine(wanted: string, migrationsDir: string): Place | undefined {
  const files = readdirSync(migrationsDir, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.sql') && !file.startsWith('committed'))
    .sort()
  for (const file of files) {
    const lines = readFileSync(join(migrationsDir, file), 'utf8').split('\n')
    const index = lines.findIndex((line) => line.replaceAll(/\s+/g, ' ').trim() === wanted)
    if (index >= 0) return readPlace({ file, line: index + 1 }, migrationsDir)
  }
  return undefined
}
