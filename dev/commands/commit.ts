import { ServiceError } from '../../src/errors/service-error.ts'
import { findCurrentProblems, isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { changeMigrations } from '../change.ts'
import type { CommandRun } from '../tool.ts'

/** Makes current.sql the next committed migration, after trying it in the shadow database. */
export async function commit(run: CommandRun, message: string | undefined): Promise<number> {
  if (!message) {
    throw new ServiceError(
      'commit_message_missing',
      'a commit needs a message: npm run db:commit -- "Add a status"',
    )
  }
  const { migrationsDir } = run.config
  if (isCurrentEmpty(migrationsDir)) {
    throw new ServiceError(
      'nothing_to_commit',
      `nothing to commit: current.sql of ${migrationsDir} is empty`,
    )
  }
  assertCurrentReadable(migrationsDir)
  return changeMigrations(['commit', '--message', message], run)
}

/** Throws if a file that the commit would copy is not what it seems: it is left as it is. */
function assertCurrentReadable(migrationsDir: string): void {
  const problems = findCurrentProblems(migrationsDir)
  if (problems.length === 0) return
  const lines = problems.map(({ filename, problem }) => `${filename} ${problem}`)
  throw new ServiceError('current_refused', `nothing was committed: ${lines.join('; ')}`, {
    extensions: { problems },
  })
}
