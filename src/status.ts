import { setTimeout as sleep } from 'node:timers/promises'
import { isDisposable } from './baseline/disposable.ts'
import { type DatabaseFacts, inspectDatabase } from './catalog/summary.ts'
import type { Database } from './database/database.ts'
import type { Status } from './http/schemas/status.ts'
import { type CommittedFolder, readCommittedFolder } from './migrations/files/committed.ts'
import { isCurrentEmpty } from './migrations/files/current.ts'
import { type CommittedMigration, splitFilename } from './migrations/files/migration.ts'
import { type AppliedMigration, readAppliedMigrations } from './migrations/history.ts'
import type { Readiness } from './readiness.ts'
import type { ResetStats } from './reset/resetter.ts'
import { SERVICE } from './version.ts'

export interface StatusSources {
  readonly startedAt: Date
  readonly migrationsDir: string
  readonly readiness: Pick<Readiness, 'current'>
  /** Undefined until it is open. */
  readonly database: () => Database | undefined
  /** Undefined until the database has answered. */
  readonly serverVersion: () => string | undefined
  readonly reset: () => Partial<ResetStats> & { readonly enabled: boolean }
}

/** How long a request waits for the database before it gets the last known facts. */
const READ_TIMEOUT_MS = 2000

type Facts = DatabaseFacts & {
  readonly applied: readonly AppliedMigration[]
  readonly isDisposable: boolean
}

/** Creates the reader of the status, which answers in every state, if need be with the last known facts. */
export function createStatusReader(sources: StatusSources): () => Promise<Status> {
  const { startedAt, migrationsDir, readiness, reset } = sources
  let facts: Facts = { pgmq: null, schemas: {}, applied: [], isDisposable: false }
  let reading: Promise<void> | undefined

  /** Concurrent requests share one read. */
  const refresh = (database: Database) => {
    reading ??= readFacts(database)
      .then(
        (found) => {
          facts = found
        },
        () => {},
      )
      .finally(() => {
        reading = undefined
      })
    return reading
  }

  return async () => {
    const database = sources.database()
    if (database !== undefined && isReachable(readiness)) {
      await Promise.race([refresh(database), sleep(READ_TIMEOUT_MS, undefined, { ref: false })])
    }
    const state = readiness.current
    return {
      service: {
        ...SERVICE,
        startedAt: startedAt.toISOString(),
        uptimeSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
      },
      state: state.ready ? 'ready' : state.reason,
      detail: state.detail ?? null,
      database: database ? describeDatabase(database, sources.serverVersion(), facts) : null,
      migrations: describeMigrations(migrationsDir, facts.applied),
      schemas: facts.schemas,
      reset: describeReset(reset(), facts.isDisposable),
    }
  }
}

function isReachable({ current }: Pick<Readiness, 'current'>): boolean {
  if (current.ready) return true
  return current.reason !== 'waiting_for_database' && current.reason !== 'database_unavailable'
}

/** One query after the other, on one connection: many services may start on one database. */
async function readFacts({ pool }: Database): Promise<Facts> {
  const found = await inspectDatabase(pool)
  const applied = await readAppliedMigrations(pool)
  return { ...found, applied, isDisposable: await isDisposable(pool) }
}

function describeReset(
  { enabled, count = 0, lastAt, lastDurationMs }: ReturnType<StatusSources['reset']>,
  allowedHere: boolean,
): Status['reset'] {
  return {
    enabled,
    allowedHere,
    count,
    lastAt: lastAt?.toISOString() ?? null,
    lastDurationMs: lastDurationMs ?? null,
  }
}

function describeDatabase(
  { kind, host, port, name }: Database,
  serverVersion: string | undefined,
  { pgmq }: Facts,
): Status['database'] {
  return { kind, host, port, name, serverVersion: serverVersion ?? null, pgmq }
}

function describeMigrations(
  migrationsDir: string,
  applied: readonly AppliedMigration[],
): Status['migrations'] {
  const { migrations, problems } = readFiles(migrationsDir)
  const recorded = new Set(applied.map(({ recordedAs }) => recordedAs))
  // Of a file with a problem only the name is used.
  const withProblem = problems.flatMap(({ filename }) => {
    const { digits, slug = null } = splitFilename(filename) ?? {}
    return digits ? { filename, slug, message: null, recordedAs: `${digits}.sql` } : []
  })
  const files = [...migrations, ...withProblem]
  return {
    applied: applied.map(({ recordedAs, hash, appliedAt }) => {
      const file = files.find((candidate) => candidate.recordedAs === recordedAs)
      const described = describeFile(file ?? { filename: recordedAs, slug: null, message: null })
      return { ...described, hash, appliedAt: appliedAt.toISOString() }
    }),
    pending: migrations
      .filter((file) => !recorded.has(file.recordedAs))
      .map((file) => ({ ...describeFile(file), hash: file.hash })),
    current: { empty: isCurrentEmpty(migrationsDir) },
  }
}

function describeFile({
  filename,
  slug,
  message,
}: Pick<CommittedMigration, 'filename' | 'slug' | 'message'>) {
  return { filename, name: slug, message }
}

/** The state's detail names a folder that cannot be read; here it counts as empty. */
function readFiles(migrationsDir: string): CommittedFolder {
  try {
    return readCommittedFolder(migrationsDir)
  } catch {
    return { migrations: [], problems: [] }
  }
}
