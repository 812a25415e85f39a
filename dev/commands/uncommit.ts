import { changeMigrations } from '../change.ts'
import type { CommandRun } from '../tool.ts'

/** Moves the last committed migration back to current.sql; only while no other database has it. */
export async function uncommit(run: CommandRun): Promise<number> {
  return changeMigrations(['uncommit'], run)
}
