import { ServiceError } from '../../src/errors/service-error.ts'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { changeMigrations } from '../change.ts'
import { readReleased } from '../released.ts'
import type { CommandRun } from '../tool.ts'

/**
 * Moves the last committed migration back to current.sql; only while no other database has it. Rejects with the
 * code migration_released if a release has it.
 */
export async function uncommit(run: CommandRun): Promise<number> {
  await assertNotReleased(run.config.migrationsDir)
  return changeMigrations(['uncommit'], run)
}

async function assertNotReleased(migrationsDir: string): Promise<void> {
  const last = (await readCommittedMigrations(migrationsDir)).at(-1)
  const released = readReleased(migrationsDir).find(({ filename }) => filename === last?.filename)
  if (released === undefined) return
  const { filename, version } = released
  throw new ServiceError(
    'migration_released',
    `${filename} is not uncommitted: it was released with ${version}, and released migrations are frozen, since ` +
      'databases have run them; change what it made in current.sql, and commit that as the next migration',
  )
}
