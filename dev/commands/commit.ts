import { dirname } from 'node:path'
import { EXIT } from '../../src/errors/codes.ts'
import { ServiceError } from '../../src/errors/service-error.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { readHeaders } from '../../src/migrations/files/headers.ts'
import type { Arguments } from '../arguments.ts'
import { readAllowed } from '../commit/allowed.ts'
import { findCoveringTests } from '../commit/covering-tests.ts'
import { migrateDevelopment } from '../commit/development-database.ts'
import { complete, recover } from '../commit/files/complete.ts'
import type { FileChange } from '../commit/files/journal.ts'
import { listSchemaChanges } from '../commit/files/schema-files.ts'
import { withCommitLock } from '../commit/lock.ts'
import { readMessage } from '../commit/message.ts'
import { assertSomething, nothingError } from '../commit/nothing.ts'
import { assertCommittable, assertCurrentReadable, type CommitOptions } from '../commit/refuse.ts'
import { commitInShadow, orInterrupted, resetShadow } from '../commit/shadow.ts'
import { describeCommitted } from '../commit/summary.ts'
import { formatFailure, nameFolder } from '../loop/format.ts'
import { describeLostConnection } from '../lost-connection.ts'
import { findShadow, type ShadowUrls } from '../shadow-database.ts'
import { stageMigrations } from '../staging.ts'
import type { CommandRun } from '../tool.ts'

/**
 * Makes current.sql the next committed migration, after trying it in the shadow database, and renews what describes the schema.
 * Whatever fails, every file stays as it was.
 */
export async function commit(
  run: CommandRun,
  { message, allow }: Pick<Arguments, 'message' | 'allow'>,
): Promise<number> {
  const options = { message: readMessage(message), allowed: await readAllowed(allow) }
  const { migrationsDir } = run.config
  // What a killed command left is completed first, and may be all that there was to commit.
  if (!isCurrentEmpty(migrationsDir)) {
    assertCurrentReadable(migrationsDir)
    assertSomething(migrationsDir)
  }
  const shadow = await findShadow(run)
  await orInterrupted(run, 'commit', () =>
    withCommitLock(shadow, 'db:commit', async () => {
      const recovered = await recover(run)
      if (recovered !== undefined) process.stdout.write(`${recovered}\n`)
      if (!isCurrentEmpty(migrationsDir)) await commitCurrent(run, shadow, options)
      else if (recovered === undefined) throw nothingError(migrationsDir)
    }),
  )
  return EXIT.stopped
}

async function commitCurrent(
  run: CommandRun,
  shadow: ShadowUrls,
  options: CommitOptions,
): Promise<void> {
  const { migrationsDir } = run.config
  const staged = stageMigrations(migrationsDir)
  try {
    await resetShadow(run, staged.dir, 'commit')
    const { trial, unchecked } = await assertCommittable(run, shadow, options)
    await commitInShadow(run, staged.dir, options.message)
    const schema = await listSchemaChanges(shadow.shadowUrl, run.config)
    const migrations = staged.listChanges()
    const { path, hash } = findCommitted(migrations)
    const journal = {
      command: 'db:commit' as const,
      hash,
      changes: [...migrations, ...schema.changes],
    }
    await complete(run, journal, () => migrate(run, staged.dir))
    const tests = findCoveringTests(dirname(migrationsDir), trial.changed)
    process.stdout.write(describeCommitted({ path, trial, schema, tests, unchecked }))
  } finally {
    staged.remove()
  }
}

async function migrate(run: CommandRun, stagedDir: string): Promise<void> {
  const failure = await migrateDevelopment(run, stagedDir)
  if (failure === undefined) return
  const { message, code } = failure
  const lost = describeLostConnection(Object.assign(new Error(message), { code }))
  if (lost !== undefined) throw lost
  const folder = nameFolder(run.config.migrationsDir)
  throw new ServiceError(
    'migration_command_failed',
    `${formatFailure(failure, folder)}\n\n` +
      `commit failed in the development database, though not in the shadow database: look for rows that it does not expect; ${folder} is unchanged`,
  )
}

/** The committed file among the changes, with its hash. */
function findCommitted(changes: readonly FileChange[]): { path: string; hash: string } {
  const added = changes.find(
    ({ path, before }) => before === undefined && path.includes('committed/'),
  )
  const hash = readHeaders(String(added?.after)).values.get('Hash')
  if (added === undefined || !hash) throw new Error('the tool has committed no file')
  return { path: added.path, hash }
}
