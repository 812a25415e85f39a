import { ServiceError } from '../../src/errors/service-error.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
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
  return changeMigrations(['commit', '--message', message], run)
}
