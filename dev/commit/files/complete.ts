import { ServiceError } from '../../../src/errors/service-error.ts'
import type { CommandRun } from '../../tool.ts'
import { hasMigration } from '../development-database.ts'
import { type Journal, makeChanges, readJournal, removeJournal, writeJournal } from './journal.ts'

/**
 * Changes the development database and then the files, so that a kill leaves either both or neither, or a journal that
 * the next command completes. `changeDatabase` rejects if it changed nothing.
 */
export async function complete(
  run: CommandRun,
  journal: Journal,
  changeDatabase: () => Promise<void>,
): Promise<void> {
  const { migrationsDir } = run.config
  writeJournal(migrationsDir, journal)
  try {
    await changeDatabase()
  } catch (error) {
    // A connection that is lost during the commit does not say whether it took place; then the journal stays.
    if (await isDone(run, journal)) return finish(migrationsDir, journal)
    removeJournal(migrationsDir)
    throw error
  }
  finish(migrationsDir, journal)
}

/** Completes or forgets a command that was killed. Returns a line that says what was done; undefined if there was none. */
export async function recover(run: CommandRun): Promise<string | undefined> {
  const { migrationsDir } = run.config
  const journal = readJournal(migrationsDir)
  if (journal === undefined) return undefined
  const { command } = journal
  if (!(await isDone(run, journal))) {
    removeJournal(migrationsDir)
    return `the last ${command} was killed before it changed anything`
  }
  finish(migrationsDir, journal)
  const paths = journal.changes.map(({ path }) => path)
  return `the last ${command} was killed; completed it: ${paths.join(', ')}`
}

/** Whether the development database has been changed. */
async function isDone(run: CommandRun, { command, hash }: Journal): Promise<boolean> {
  return (await hasMigration(run, hash)) === (command === 'db:commit')
}

function finish(migrationsDir: string, { command, changes }: Journal): void {
  const conflicts = makeChanges(migrationsDir, changes)
  removeJournal(migrationsDir)
  if (conflicts.length === 0) return
  throw new ServiceError(
    'migrations_changed',
    `${command} succeeded, but ${conflicts.join(', ')} changed in the meantime and was left as it is; ` +
      'remove by hand what is committed now',
  )
}
