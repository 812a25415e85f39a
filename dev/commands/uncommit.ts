import { EXIT } from '../../src/errors/codes.ts'
import { ServiceError } from '../../src/errors/service-error.ts'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { forgetMigration } from '../commit/development-database.ts'
import { complete, recover } from '../commit/files/complete.ts'
import { listSchemaChanges } from '../commit/files/schema-files.ts'
import { takeBack } from '../commit/files/take-back.ts'
import { withCommitLock } from '../commit/lock.ts'
import { orInterrupted, resetShadow } from '../commit/shadow.ts'
import { readReleased } from '../released.ts'
import { findShadow, type ShadowUrls } from '../shadow-database.ts'
import { stageMigrations } from '../staging.ts'
import type { CommandRun } from '../tool.ts'

/**
 * Moves the last committed migration back to current.sql; only while no other database has it. Rejects with the
 * code migration_released if a release has it.
 */
export async function uncommit(run: CommandRun): Promise<number> {
  await assertNotReleased(run.config.migrationsDir)
  const shadow = await findShadow(run)
  await orInterrupted(run, 'uncommit', () =>
    withCommitLock(shadow, 'db:uncommit', async () => {
      const recovered = await recover(run)
      // What the killed command did may be what this one was to take back.
      if (recovered === undefined) await uncommitLast(run, shadow)
      else process.stdout.write(`${recovered}; run this again to uncommit the last migration\n`)
    }),
  )
  return EXIT.stopped
}

async function uncommitLast(run: CommandRun, { shadowUrl }: ShadowUrls): Promise<void> {
  const { migrationsDir } = run.config
  const last = (await readCommittedMigrations(migrationsDir)).at(-1)
  if (last === undefined || !isCurrentEmpty(migrationsDir)) {
    const problem =
      last === undefined
        ? 'there is no committed migration'
        : 'current.sql has statements, which it would replace; commit or remove them first'
    throw new ServiceError(
      'migration_command_failed',
      `nothing was uncommitted: ${problem}; ${migrationsDir} is unchanged`,
    )
  }
  const staged = stageMigrations(migrationsDir)
  try {
    const hash = takeBack(staged.dir, last.filename)
    await resetShadow(run, staged.dir, 'uncommit')
    const schema = await listSchemaChanges(shadowUrl, run.config)
    const changes = [...staged.listChanges(), ...schema.changes]
    await complete(run, { command: 'db:uncommit', hash, changes }, () => forgetMigration(run, hash))
    const renewed = schema.changes.map(({ path }) => path)
    process.stdout.write(
      `uncommitted  ${last.filename}: it is in current.sql again; the database keeps what it made\n` +
        (renewed.length === 0 ? '' : `renewed      ${renewed.join(', ')}\n`),
    )
  } finally {
    staged.remove()
  }
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
