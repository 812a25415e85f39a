import { setTimeout as sleep } from 'node:timers/promises'
import { isDisposable } from './baseline/disposable.ts'
import { type DatabaseFacts, inspectDatabase } from './catalog/summary.ts'
import type { Database } from './database/database.ts'
import { type CommittedFolder, readCommittedFolder } from './migrations/files/committed.ts'
import { isCurrentEmpty } from './migrations/files/current.ts'
import { type CommittedMigration, splitFilename } from './migrations/files/migration.ts'
import { type AppliedMigration, readAppliedMigrations } from './migrations/history.ts'
import type { NotReadyReason, Readiness } from './readiness.ts'
import { SERVICE } from './version.ts'

/** The details of the service and its database; no password, token or connection string. */
export interface Status {
  readonly service: {
    readonly name: string
    readonly version: string
    readonly startedAt: string
    readonly uptimeSeconds: number
  }
  readonly state: 'ready' | NotReadyReason
  readonly detail: string | null
  readonly database: DatabaseStatus | null
  readonly migrations: {
    readonly applied: readonly AppliedStatus[]
    readonly pending: readonly MigrationStatus[]
    readonly current: { readonly empty: boolean }
  }
  readonly schemas: DatabaseFacts['schemas']
  readonly reset: ResetStatus
}

export interface DatabaseStatus extends Pick<Database, 'kind' | 'host' | 'port' | 'name'> {
  readonly serverVersion: string | null
  readonly pgmq: DatabaseFacts['pgmq']
}

export interface MigrationStatus {
  /** The file's full name. */
  readonly filename: string
  /** The file's slug. */
  readonly name: string | null
  readonly message: string | null
  readonly hash: string
}

export interface AppliedStatus extends MigrationStatus {
  readonly appliedAt: string
}

export interface ResetStatus {
  readonly enabled: boolean
  readonly allowedHere: boolean
  readonly count: number
  readonly lastAt: string | null
  readonly lastDurationMs: number | null
}

export interface StatusSources {
  readonly startedAt: Date
  readonly migrationsDir: string
  readonly readiness: Pick<Readiness, 'current'>
  /** Undefined until it has been opened. */
  readonly database: () => Database | undefined
  /** Undefined until it has answered. */
  readonly serverVersion: () => string | undefined
  readonly reset: () => Omit<ResetStatus, 'allowedHere'>
}

/** How long a reader of the status waits for the database before the last known facts are given. */
const PATIENCE_MS = 2000

type Facts = DatabaseFacts & {
  readonly applied: readonly AppliedMigration[]
  readonly isDisposable: boolean
}

/** Creates the reader of the status. It answers in every state, with what was known last. */
export function createStatusReader(sources: StatusSources): () => Promise<Status> {
  const { startedAt, migrationsDir, readiness, reset } = sources
  let facts: Facts = { pgmq: null, schemas: {}, applied: [], isDisposable: false }
  let reading: Promise<void> | undefined

  /** One question at a time, however many ask for the status. */
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
      await Promise.race([refresh(database), sleep(PATIENCE_MS, undefined, { ref: false })])
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

/** One after the other, over one connection: many services may start on one database. */
async function readFacts({ pool }: Database): Promise<Facts> {
  const found = await inspectDatabase(pool)
  const applied = await readAppliedMigrations(pool)
  return { ...found, applied, isDisposable: await isDisposable(pool) }
}

function describeReset(
  { enabled, ...counts }: Omit<ResetStatus, 'allowedHere'>,
  allowedHere: boolean,
): ResetStatus {
  return { enabled, allowedHere, ...counts }
}

function describeDatabase(
  { kind, host, port, name }: Database,
  serverVersion: string | undefined,
  { pgmq }: Facts,
): DatabaseStatus {
  return { kind, host, port, name, serverVersion: serverVersion ?? null, pgmq }
}

function describeMigrations(
  migrationsDir: string,
  applied: readonly AppliedMigration[],
): Status['migrations'] {
  const { migrations, problems } = readFiles(migrationsDir)
  const recorded = new Set(applied.map(({ recordedAs }) => recordedAs))
  // A file that is refused has kept its name, which is all that is taken of it.
  const refused = problems.flatMap(({ filename }) => {
    const { digits, slug = null } = splitFilename(filename) ?? {}
    return digits ? { filename, slug, message: null, recordedAs: `${digits}.sql` } : []
  })
  const files = [...migrations, ...refused]
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

/** A folder that cannot be read is named by the state's detail; here there is nothing, then. */
function readFiles(migrationsDir: string): CommittedFolder {
  try {
    return readCommittedFolder(migrationsDir)
  } catch {
    return { migrations: [], problems: [] }
  }
}
