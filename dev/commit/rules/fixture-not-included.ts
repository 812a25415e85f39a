import { hasNoStatement } from '../../../src/migrations/files/current.ts'
import { compile, listIncluded, type Texts } from '../../loop/fixtures.ts'
import { readPlace } from '../../loop/locate.ts'
import type { Rule } from './rule.ts'

/** A fixture was changed, and the migration would not have the change. */
export const fixtureNotIncluded: Rule = {
  name: 'fixture-not-included',
  refuses: 'a fixture that differs from what is committed, and is not included',
  check({ migrationsDir, fixtures, committed, text }) {
    const included = new Set(listIncluded(text.compiled).map(([path]) => path))
    const gone = listGoneFixtures(fixtures, committed)
    return listChangedFixtures(fixtures, committed)
      .filter((path) => !included.has(path) && !gone.includes(path))
      .map((path) => {
        const was = committed.get(path)
        const line = findFirstDifference(fixtures.get(path) ?? '', was)
        return {
          message: `this fixture ${was === undefined ? 'is new' : 'differs from what is committed'}, and current.sql does not include it`,
          remedy: `add the line "--!include ${path}" to current.sql (npm run dev does), or take the change back`,
          place: readPlace({ file: `fixtures/${path}`, line }, migrationsDir),
        }
      })
  },
}

/** The paths of the fixtures that are not as the committed migrations included them last. */
export function listChangedFixtures(fixtures: Texts, committed: Texts): string[] {
  return [...fixtures.keys()].filter(
    (path) => compile(fixtures.get(path) ?? '', fixtures, [path]).trim() !== committed.get(path),
  )
}

/** The paths of the fixtures that the committed migrations included, and that are deleted or have no statement any more. */
export function listGoneFixtures(fixtures: Texts, committed: Texts): string[] {
  return [...committed.keys()].filter(
    (path) =>
      hasNoStatement(fixtures.get(path) ?? '') && !hasNoStatement(committed.get(path) ?? ''),
  )
}

function findFirstDifference(text: string, was: string | undefined): number {
  if (was === undefined) return 1
  const lines = was.split('\n')
  const skipped = /^\s*/.exec(text)?.[0].split('\n').length ?? 1
  const index = text
    .trim()
    .split('\n')
    .findIndex((line, at) => line !== lines[at])
  return index === -1 ? 1 : index + skipped
}
