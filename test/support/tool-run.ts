import pino from 'pino'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import type { RunnerOptions } from '../../src/migrations/tool/runner.ts'
import { createMigrationsFolder } from './migrations-folder.ts'
import type { TestDatabase } from './postgres.ts'

/** What the runner needs to apply migrations with these bodies to the database. */
export async function describeRun(
  t: Parameters<typeof createMigrationsFolder>[0],
  { url, name, pool }: TestDatabase,
  bodies: readonly string[],
): Promise<RunnerOptions> {
  const migrationsDir = createMigrationsFolder(t, bodies)
  return {
    url,
    databaseName: name,
    pool,
    migrationsDir,
    settings: { placeholders: {}, pgSettings: {} },
    pending: await readCommittedMigrations(migrationsDir),
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
    onMigration: () => {},
  }
}
