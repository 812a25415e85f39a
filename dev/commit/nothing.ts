import { ServiceError } from '../../src/errors/service-error.ts'
import { hasNoStatement } from '../../src/migrations/files/current.ts'
import { listIncluded, readCommittedFixtures, readFixtures } from '../loop/fixtures.ts'
import { nameFolder } from '../loop/format.ts'
import { listChangedFixtures, listGoneFixtures } from './rules/fixture-not-included.ts'
import { compileCurrent } from './text/migration-text.ts'

/** Throws if all that current.sql includes is empty: the tool would refuse the migration as blank. */
export function assertSomething(migrationsDir: string): void {
  const compiled = compileCurrent(migrationsDir, readFixtures(migrationsDir))
  if (!hasNoStatement(compiled)) return
  const paths = listIncluded(compiled).map(([path]) => path)
  const committed = readCommittedFixtures(migrationsDir)
  const [restored] = paths.filter((path) => committed.has(path))
  throw new ServiceError(
    'nothing_to_commit',
    `nothing to commit: current.sql includes ${nameFixtures(paths, migrationsDir)}, which ${paths.length === 1 ? 'has' : 'have'} no statement; ` +
      (restored === undefined
        ? 'write what it makes, or remove the file'
        : 'to remove what it made, delete the file and drop that in current.sql; otherwise restore it: ' +
          `git checkout ${nameFixtures([restored], migrationsDir)}`),
  )
}

/** The error that current.sql has no statement; it names the fixtures that were changed. */
export function nothingError(migrationsDir: string): ServiceError {
  const fixtures = readFixtures(migrationsDir)
  const committed = readCommittedFixtures(migrationsDir)
  const gone = listGoneFixtures(fixtures, committed)
  const changed = listChangedFixtures(fixtures, committed).filter((path) => !gone.includes(path))
  return new ServiceError(
    'nothing_to_commit',
    [
      `nothing to commit: ${nameFolder(migrationsDir)}/current.sql has no statement`,
      ...(changed.length === 0
        ? []
        : [
            `not as committed: ${nameFixtures(changed, migrationsDir)}; add "--!include ${changed[0]}" to current.sql`,
          ]),
      ...(gone.length === 0
        ? []
        : [
            `deleted or emptied: ${nameFixtures(gone, migrationsDir)}; drop what it made in current.sql, or restore it`,
          ]),
    ].join('; '),
  )
}

const nameFixtures = (paths: readonly string[], migrationsDir: string) =>
  paths.map((path) => `${nameFolder(migrationsDir)}/fixtures/${path}`).join(', ')
