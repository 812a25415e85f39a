import { EXIT } from '../../src/errors/codes.ts'
import { type CommandRun, runMigrationTool } from '../tool.ts'

/** Applies the committed migrations, then current.sql whenever it or a fixture changes. */
export async function watch(run: CommandRun): Promise<number> {
  const { migrationsDir } = run.config
  const exitCode = await runMigrationTool(['watch'], { ...run, migrationsDir })
  return run.signal.aborted ? EXIT.stopped : exitCode
}
