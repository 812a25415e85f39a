import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { offsetOfLine } from '../../src/migrations/files/lines.ts'
import {
  findOriginalOffset,
  replacePlaceholders,
  toOffset,
} from '../../src/migrations/tool/location.ts'
import { findStatement } from '../../src/migrations/tool/statements.ts'
import { compile, readFixtures } from './fixtures.ts'
import { findSourceLine, type SourceLine } from './source-lines.ts'

/** A place in a file that was saved. */
export interface Place extends SourceLine {
  /** The line itself. */
  readonly text: string
  /** Where on the line, in characters from 0; undefined if only the line is known. */
  readonly column: number | undefined
}

/** The text that PostgreSQL got, and what it said about it. */
export interface FailedText {
  readonly sent: string
  /** PostgreSQL's position in the text, in characters from 1. */
  readonly position?: string | undefined
  /** PostgreSQL's context: the functions that were running. */
  readonly where?: string | undefined
  /** How many statements had completed. */
  readonly completed: number
}

export interface Sources {
  readonly migrationsDir: string
  readonly placeholders: Readonly<Record<string, string>>
}

/** The line of an anonymous block that failed, or of a function that does not compile. */
const LINE_OF_BODY =
  /^(?:PL\/pgSQL function inline_code_block|compilation of PL\/pgSQL function "[^"]*"|SQL function "[^"]*") (?:near )?line (\d+)/m

/** Finds the place of a failure: by PostgreSQL's position, or else the statement that did not complete. */
export function findPlace(failed: FailedText, sources: Sources): Place | undefined {
  const { sent, position, where = '', completed } = failed
  if (position !== undefined) return findPlaceOf(sent, toOffset(sent, Number(position)), sources)
  const start = findStatement(sent, completed)
  if (start === undefined) return undefined
  const [, bodyLine] = LINE_OF_BODY.exec(where) ?? []
  const offset = bodyLine === undefined ? start : findLineOfBody(sent, start, Number(bodyLine))
  const place = findPlaceOf(sent, offset, sources)
  return { ...place, column: undefined }
}

/** Finds the place of a line and column, from 1, of the text of `current.sql` that the tool compiles. */
export function findCurrentPlace(line: number, column: number, sources: Sources): Place {
  const { migrationsDir, placeholders } = sources
  const compiled = compile(readSource('current.sql', migrationsDir), readFixtures(migrationsDir))
  const sent = replacePlaceholders(compiled, placeholders)
  return findPlaceOf(sent, offsetOfLine(sent, line - 1) + column - 1, sources)
}

/** A line of a file, as it is on disk. */
export function readPlace({ file, line }: SourceLine, migrationsDir: string): Place {
  const text = readSource(file, migrationsDir).split('\n')[line - 1] ?? ''
  return { file, line, text: text.replace(/^\ufeff|\r$/g, ''), column: undefined }
}

function findPlaceOf(
  sent: string,
  offset: number,
  { migrationsDir, placeholders }: Sources,
): Place {
  const before = sent.slice(0, offset).split('\n')
  const countSkippedLines = (file: string) => countSkipped(readSource(file, migrationsDir))
  const place = readPlace(findSourceLine(sent, before.length, countSkippedLines), migrationsDir)
  const sentColumn = before.at(-1)?.length ?? 0
  const sentLine = sent.split('\n')[before.length - 1] ?? ''
  const column = findOriginalOffset(place.text, placeholders, sentColumn)
  // The tool takes the space in front of an included file's first line away.
  const isShortened = place.text.length > sentLine.length && place.text.endsWith(sentLine)
  return { ...place, column: isShortened ? column + place.text.length - sentLine.length : column }
}

/** Where a line of the body begins, which PostgreSQL counts from the quote that opens it. */
function findLineOfBody(sent: string, start: number, line: number): number {
  const quote = /\$\w*\$/.exec(sent.slice(start))
  if (quote === null) return start
  let offset = start + quote.index
  for (let left = line - 1; left > 0; left--) {
    const newline = sent.indexOf('\n', offset)
    if (newline === -1) return start
    offset = newline + 1
  }
  return offset + (/^[ \t]*/.exec(sent.slice(offset))?.[0].length ?? 0)
}

/** The blank lines, and in `current/` the headers, in front of what the tool takes over. */
function countSkipped(text: string): number {
  const [skipped = ''] = /^(?:--! [A-Z]\w*(?::.*)?\n)*\s*/.exec(text) ?? []
  return skipped.split('\n').length - 1
}

function readSource(file: string, migrationsDir: string): string {
  try {
    return readFileSync(join(migrationsDir, file), 'utf8')
  } catch {
    return ''
  }
}
