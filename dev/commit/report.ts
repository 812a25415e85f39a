import type { Failure } from '../loop/failure.ts'
import type { Place } from '../loop/locate.ts'
import type { Finding } from './finding.ts'

export interface RefusedCommit {
  /** The migrations folder as people write it. */
  readonly folder: string
  readonly message: string
  /** Rules that were allowed already. */
  readonly allowed: ReadonlySet<string>
}

/** Describes what a commit refuses: each finding with its place, and how to insist. */
export function describeFindings(
  findings: readonly Finding[],
  { folder, message, allowed }: RefusedCommit,
): string {
  const rules = [...new Set([...allowed, ...findings.map(({ rule }) => rule)])]
  const texts = findings.map(({ rule, message, remedy, place }) =>
    [`${describePlace(place, folder)}${message} (${rule})`, ...showLine(place), `  ${remedy}`].join(
      '\n',
    ),
  )
  return [
    ...texts,
    `nothing was committed, and every file is as it was. To commit in spite of ${findings.length === 1 ? 'it' : 'all of this'}:\n` +
      `  npm run db:commit -- ${JSON.stringify(message)} --allow=${rules.join(',')}`,
  ].join('\n\n')
}

/** Describes why the migration could not be run: PostgreSQL's words, with the place. */
export function describeFailure(failure: Failure, folder: string): string {
  const { message, code, place } = failure
  const more = (['detail', 'hint', 'context'] as const).flatMap((name) =>
    failure[name] ? [`  ${name}: ${failure[name]?.replaceAll('\n', '\n    ')}`] : [],
  )
  const title = `${describePlace(place, folder)}${message}${code === undefined ? '' : ` (${code})`}`
  return [title, ...showLine(place), ...more].join('\n')
}

function describePlace(place: Place | undefined, folder: string): string {
  return place === undefined ? '' : `${folder}/${place.file}:${place.line}: `
}

/** The line with a caret below it. */
function showLine(place: Place | undefined): string[] {
  if (place === undefined || place.text.trim() === '') return []
  const number = `  ${place.line} | `
  const line = `${number}${place.text}`
  if (place.column === undefined) return [line]
  // As wide as the text in front: a tab stays a tab.
  const before = place.text.slice(0, place.column).replaceAll(/[^\t]/gu, ' ')
  return [line, `${' '.repeat(number.length)}${before}^`]
}
