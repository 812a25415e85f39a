import { formatLine, formatPlace } from '../loop/format.ts'
import type { Finding } from './rules/finding.ts'

export interface RefusedCommit {
  /** The migrations folder as people write it. */
  readonly folder: string
  readonly message: string
  /** Rules that were allowed already. */
  readonly allowed: ReadonlySet<string>
}

/** Describes what a commit refuses: each finding with its place, and how to commit in spite of them. */
export function describeFindings(
  findings: readonly Finding[],
  { folder, message, allowed }: RefusedCommit,
): string {
  const rules = [...new Set([...allowed, ...findings.map(({ rule }) => rule)])]
  const texts = findings.map(({ rule, message, remedy, place }) =>
    [`${formatPlace(place, folder)}${message} (${rule})`, ...formatLine(place), `  ${remedy}`].join(
      '\n',
    ),
  )
  return [
    ...texts,
    `nothing was committed, and every file is as it was. To commit in spite of ${findings.length === 1 ? 'it' : 'all of this'}:\n` +
      `  npm run db:commit -- ${JSON.stringify(message)} --allow=${rules.join(',')}`,
  ].join('\n\n')
}
