import { EXIT } from '../src/errors/codes.ts'
import { ServiceError } from '../src/errors/service-error.ts'
import { readCommittedMigrations } from '../src/migrations/files/committed.ts'
import { isCurrentEmpty } from '../src/migrations/files/current.ts'
import { findPendingMigrations, readAppliedMigrations } from '../src/migrations/history.ts'
import { openClient } from '../src/postgres/client.ts'
import { stageMigrations } from './staging.ts'
import { requireShadow, runMigrationTool, type ToolRun } from './tool.ts'

export type CommandRun = Omit<ToolRun, 'migrationsDir'>

/** Applies the committed migrations, then current.sql again whenever it or a fixture changes. */
export async function watch({ config, ...run }: CommandRun): Promise<number> {
  const { migrationsDir } = config
  const exitCode = await runMigrationTool(['watch'], { config, migrationsDir, ...run })
  return run.signal.aborted ? EXIT.stopped : exitCode
}

/** Makes current.sql the next committed migration, tried on a new database before. */
export async function commit(run: CommandRun, message: string | undefined): Promise<number> {
  if (!message) {
    throw new ServiceError(
      'commit_message_missing',
      'a commit needs a message: npm run db:commit -- "Add a status"',
    )
  }
  if (isCurrentEmpty(run.config.migrationsDir)) {
    throw new ServiceError(
      'nothing_to_commit',
      `nothing to commit: current.sql of ${run.config.migrationsDir} is empty`,
    )
  }
  return change(['commit', '--message', message], run)
}

/** Takes the last committed migration back into current.sql; only before anybody else has it. */
export async function uncommit(run: CommandRun): Promise<number> {
  return change(['uncommit'], run)
}

async function change(args: readonly string[], run: CommandRun): Promise<number> {
  requireShadow(run.database)
  const { migrationsDir } = run.config
  const staged = stageMigrations(migrationsDir)
  try {
    const exitCode = await runMigrationTool(args, { ...run, migrationsDir: staged.dir })
    if (exitCode !== EXIT.stopped) {
      throw new ServiceError(
        'migration_command_failed',
        `${args[0]} failed, as said above; ${migrationsDir} is as it was`,
      )
    }
    const kept = staged.takeOver()
    if (kept.length === 0) return EXIT.stopped
    throw new ServiceError(
      'migrations_changed',
      `${args[0]} succeeded, but somebody changed ${kept.join(', ')} meanwhile, which was left so; ` +
        'take out by hand what is committed',
    )
  } finally {
    staged.remove()
  }
}

/** Says which migrations the database has, which are pending, and whether current.sql is empty. */
export async function status({ config, database }: CommandRun): Promise<number> {
  const committed = readCommittedMigrations(config.migrationsDir)
  const client = await openClient(database.url, 'development')
  const applied = await readAppliedMigrations(client).finally(() => client.end())
  const pending = findPendingMigrations(committed, applied)
  for (const { filename } of committed) {
    const isPending = pending.some((migration) => migration.filename === filename)
    process.stdout.write(`${isPending ? 'pending' : 'applied'}  ${filename}\n`)
  }
  const current = isCurrentEmpty(config.migrationsDir) ? 'empty' : 'not committed'
  process.stdout.write(`${current.padEnd(7)}  current.sql\n`)
  return EXIT.stopped
}
