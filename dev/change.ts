import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { recordChanges } from './recording.ts'
import { assertShadowDatabase } from './shadow-database.ts'
import { stageMigrations } from './staging.ts'
import { type CommandRun, runMigrationTool } from './tool.ts'

/** Runs a command of the migration tool that changes the migrations folder, by way of a copy of it. */
export async function changeMigrations(args: readonly string[], run: CommandRun): Promise<number> {
  await assertShadowDatabase(run.database)
  const { migrationsDir } = run.config
  const staged = stageMigrations(migrationsDir)
  try {
    const exitCode = await recordChanges(run.database, () =>
      runMigrationTool(args, { ...run, migrationsDir: staged.dir }),
    )
    if (exitCode !== EXIT.stopped) {
      throw new ServiceError(
        'migration_command_failed',
        run.signal.aborted
          ? `${args[0]} was interrupted; ${migrationsDir} is unchanged`
          : `${args[0]} failed, see above; ${migrationsDir} is unchanged`,
      )
    }
    const conflicts = staged.takeOver()
    if (conflicts.length === 0) return EXIT.stopped
    throw new ServiceError(
      'migrations_changed',
      `${args[0]} succeeded, but ${conflicts.join(', ')} changed in the meantime and was left as it is; ` +
        'remove by hand what is committed now',
    )
  } finally {
    staged.remove()
  }
}
