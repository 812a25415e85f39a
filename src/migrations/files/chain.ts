import type { HistoryProblem } from '../history-error.ts'
import type { CommittedMigration } from './migration.ts'

/** Finds where the chain breaks: numbers run from 1 without a gap, and each hash names the last. */
export function findBreaks(migrations: readonly CommittedMigration[]): HistoryProblem[] {
  return migrations.flatMap((migration, index) => {
    const problem = findBreak(migration, migrations[index - 1])
    return problem === undefined ? [] : { filename: migration.filename, problem }
  })
}

function findBreak(
  migration: CommittedMigration,
  previous: CommittedMigration | undefined,
): string | undefined {
  const { number, recordedAs, previousHash } = migration
  const expectedNumber = (previous?.number ?? 0) + 1
  if (number === previous?.number) return `has the same number as ${previous.filename}`
  if (number !== expectedNumber) return `follows a gap: number ${expectedNumber} is missing`
  // graphile-migrate sorts the names as text, so such files would change their order.
  if (previous !== undefined && recordedAs.length !== previous.recordedAs.length) {
    return `has a different number of digits than ${previous.filename}: pad them to the same width`
  }
  const expectedHash = previous?.hash ?? null
  if (previousHash === expectedHash) return undefined
  return (
    `does not follow ${previous?.filename ?? 'the beginning'}: its header Previous says ` +
    `${previousHash ?? '-'}, expected ${expectedHash ?? '-'}`
  )
}
