import { relative } from 'node:path'
import type { Failure } from './failure.ts'
import type { Place } from './locate.ts'

/** The migrations folder as it is written on the command line: `migrations`. */
export function nameFolder(migrationsDir: string): string {
  return relative('', migrationsDir) || '.'
}

/**
 * Formats a failure for a terminal: its place, message and code, the line with a caret below it, and what PostgreSQL
 * adds. `paint` colors the caret.
 */
export function formatFailure(
  failure: Failure,
  folder: string,
  paint: (caret: string) => string = String,
): string {
  const { message, code, place } = failure
  const title = `${formatPlace(place, folder)}${cut(message)}${code === undefined ? '' : ` (${code})`}`
  const more = (['detail', 'hint', 'context'] as const).flatMap((name) => {
    const text = failure[name]
    return text ? [`  ${name}: ${text.replaceAll('\n', '\n    ')}`] : []
  })
  return [title, ...formatLine(place, paint), ...more].join('\n')
}

/** Formats a place as the beginning of a message: `migrations/current.sql:3: `. */
export function formatPlace(place: Place | undefined, folder: string): string {
  return place === undefined ? '' : `${folder}/${place.file}:${place.line}: `
}

/** Formats the line of a place, and a caret below it if the column is known. */
export function formatLine(
  place: Place | undefined,
  paint: (caret: string) => string = String,
): string[] {
  if (place === undefined || place.text.trim() === '') return []
  const number = `  ${place.line} | `
  const line = `${number}${place.text}`
  if (place.column === undefined) return [line]
  // As wide as the text in front: a tab stays a tab.
  const before = place.text.slice(0, place.column).replaceAll(/[^\t]/gu, ' ')
  return [line, `${' '.repeat(number.length)}${before}${paint('^')}`]
}

/** Without the rest of a file, which PostgreSQL quotes where a quote has no end. */
function cut(message: string): string {
  return message.replace(/( at or near "[^\n]*)\n[\s\S]*"$/, '$1 …"').replaceAll('\n', '\n  ')
}
