import { openClient } from '../src/database/client.ts'
import { EXIT, ServiceError } from '../src/errors.ts'
import { readCommittedMigrations } from '../src/migrations/committed.ts'
import { isCurrentEmpty } from '../src/migrations/current.ts'
import { comparePending, readAppliedMigrations } from '../src/migrations/history.ts'
import { requireShadow, runMigrationTool, type ToolRun } from './migration-tool.ts'
import { stageMigrations } from './staged-migrations.ts'

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
    throw new ServiceError('a commit needs a message: npm run db:commit -- "Add a status"', {
      code: 'commit_message_missing',
      exitCode: EXIT.settings,
    })
  }
  if (isCurrentEmpty(run.config.migrationsDir)) {
    throw new ServiceError(
      `nothing to commit: current.sql of ${run.config.migrationsDir} is empty`,
      {
        code: 'nothing_to_commit',
        exitCode: EXIT.settings,
      },
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
      throw new ServiceError(`${args[0]} failed, as said above; ${migrationsDir} is as it was`, {
        code: 'migration_command_failed',
        exitCode: EXIT.migration,
      })
    }
    const kept = staged.takeOver()
    if (kept.length === 0) return EXIT.stopped
    throw new ServiceError(
      `${args[0]} succeeded, but somebody changed ${kept.join(', ')} meanwhile, which was left so; ` +
        'take out by hand what is committed',
      { code: 'migrations_changed', exitCode: EXIT.migration },
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
  const pending = comparePending(committed, applied)
  for (const { filename } of committed) {
    const isPending = pending.some((migration) => migration.filename === filename)
    process.stdout.write(`${isPending ? 'pending' : 'applied'}  ${filename}\n`)
  }
  const current = isCurrentEmpty(config.migrationsDir) ? 'empty' : 'not committed'
  process.stdout.write(`${current.padEnd(7)}  current.sql\n`)
  return EXIT.stopped
}
