import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../src/errors/service-error.ts'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { readAppliedMigrations, readMigrationStatus } from '../../src/migrations/history.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import type { Failure } from './failure.ts'

/** The committed files are those of another branch: the database has to be migrated, or another one used. */
export class OtherHistoryError extends Error {}

/** How long git takes to replace files, and a commit to write its own. */
const SETTLED_MS = 150

/**
 * Throws an OtherHistoryError unless the database has exactly the committed files. Returns what is wrong with the
 * files themselves.
 */
export async function assertSameHistory(
  client: Queryable,
  migrationsDir: string,
): Promise<Failure | undefined> {
  if (await isSame(client, migrationsDir).catch(() => false)) return undefined
  await sleep(SETTLED_MS)
  try {
    if (await isSame(client, migrationsDir)) return undefined
  } catch (error) {
    return describe(error)
  }
  throw new OtherHistoryError('the committed migrations are not those of the database')
}

/** The hash of the last migration covers those before it. */
async function isSame(client: Queryable, migrationsDir: string): Promise<boolean> {
  const committed = await readCommittedMigrations(migrationsDir)
  const applied = await readAppliedMigrations(client)
  return committed.at(-1)?.hash === applied.at(-1)?.hash
}

/** Compares the committed files with the database: how many are pending, or why they cannot follow its history. */
export async function comparePending(
  client: Queryable,
  migrationsDir: string,
): Promise<{ readonly pending: number; readonly failure?: Failure }> {
  try {
    const { pending } = await readMigrationStatus(client, migrationsDir)
    return { pending: pending.length }
  } catch (error) {
    return { pending: 0, failure: describe(error) }
  }
}

function describe(error: unknown): Failure {
  if (error instanceof ServiceError) return { message: error.message }
  throw error
}
