import { isDisposable } from './baseline/disposable.ts'
import { type DatabaseFacts, inspectDatabase } from './catalog/summary.ts'
import type { Database } from './database/database.ts'
import type { CurrentState } from './drift/current-changes.ts'
import type { DriftState } from './drift/drift.ts'
import type { Status } from './http/schemas/status.ts'
import { type DatedMigration, readAppliedMigrations } from './migrations/history.ts'
import type { Readiness } from './readiness.ts'
import type { ResetStats } from './reset/resetter.ts'
import { createFolderReader, type FileFacts, type FolderFacts } from './status/files.ts'
import { createLastKnown } from './status/last-known.ts'
import { SERVICE } from './version.ts'

export interface StatusSources {
  readonly startedAt: Date
  readonly migrationsDir: string
  readonly readiness: Pick<Readiness, 'current'>
  /** Undefined until it is open. */
  readonly database: () => DescribedDatabase | undefined
  /** Undefined until the database has answered. */
  readonly serverVersion: () => string | undefined
  readonly reset: () => Partial<ResetStats> & { readonly enabled: boolean }
  readonly drift: () => DriftState
  /** Undefined where none are lent. */
  readonly testDatabases?: CountedDatabases | undefined
}

interface CountedDatabases {
  readonly max: number
  /** Undefined before the service is ready to lend any. */
  count(): Promise<Status['testDatabases'] | undefined>
}

type DescribedDatabase = Pick<Database, 'kind' | 'host' | 'port' | 'name' | 'pool'>

/** More requests than people make: the others get the answer that was made last. */
const MAX_READS_PER_SECOND = 20

type Facts = DatabaseFacts & {
  /** Of the uncommitted migration, also if it is empty by now. */
  readonly current: CurrentState
  readonly applied: readonly DatedMigration[]
  readonly isDisposable: boolean
  readonly testDatabases?: Status['testDatabases'] | undefined
}

/** Creates the reader of the status, which answers in every state, if need be with the last known facts. */
export function createStatusReader(sources: StatusSources): () => Promise<Status> {
  const { startedAt, migrationsDir, readiness, reset, testDatabases } = sources
  const readKnownFacts = createLastKnown<DescribedDatabase, Facts>(
    { pgmq: null, schemas: {}, applied: [], isDisposable: false, current: { changes: [] } },
    async (database) => ({
      ...(await readFacts(database)),
      current: await readCurrent(database),
      testDatabases: await testDatabases?.count(),
    }),
  )
  const readFolder = createFolderReader(migrationsDir)

  async function readCurrent({ pool }: DescribedDatabase): Promise<CurrentState> {
    if (!(await readFolder()).hasCurrent) return { changes: [] }
    // Outside of development there is no uncommitted migration.
    const { readCurrentState } = await import('./drift/current-changes.ts')
    return readCurrentState(pool)
  }

  async function read(): Promise<Status> {
    const database = sources.database()
    const facts = await readKnownFacts(isReachable(readiness) ? database : undefined)
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
      migrations: describeMigrations(await readFolder(), facts),
      schemas: facts.schemas,
      drift: describeDrift(sources.drift()),
      reset: describeReset(reset(), facts.isDisposable),
      testDatabases: testDatabases
        ? (facts.testDatabases ?? { max: testDatabases.max, lent: 0, ready: 0 })
        : null,
    }
  }

  let last: { readonly status: Status; readonly state: unknown } | undefined
  let pending: { readonly status: Promise<Status>; readonly state: unknown } | undefined
  let [windowStart, reads] = [Number.NEGATIVE_INFINITY, 0]

  /** Concurrent requests share one answer, which is then masked and written once. */
  function share(state: unknown): Promise<Status> {
    if (pending !== undefined && pending.state === state) return pending.status
    const status = read().finally(() => {
      if (pending?.status === status) pending = undefined
    })
    pending = { status, state }
    return status
  }

  return async () => {
    const state = readiness.current
    const now = performance.now()
    if (now - windowStart >= 1000) [windowStart, reads] = [now, 0]
    // A flood of requests gets the last answer, so that it does not keep the database or a probe busy.
    if (++reads > MAX_READS_PER_SECOND && last?.state === state) return last.status
    const status = await share(state)
    last = { status, state }
    return status
  }
}

/** Whether the database is worth asking in this state. */
export function isReachable({ current }: Pick<Readiness, 'current'>): boolean {
  if (current.ready) return true
  return current.reason !== 'waiting_for_database' && current.reason !== 'database_unavailable'
}

/** One query after the other, on one connection: many services may start on one database. */
async function readFacts({ pool }: DescribedDatabase): Promise<Omit<Facts, 'current'>> {
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

function describeDrift({ checkedAt, differences, ...found }: DriftState): Status['drift'] {
  return { checkedAt: checkedAt?.toISOString() ?? null, ...found, differences }
}

function describeDatabase(
  { kind, host, port, name }: DescribedDatabase,
  serverVersion: string | undefined,
  { pgmq }: Facts,
): Status['database'] {
  return { kind, host, port, name, serverVersion: serverVersion ?? null, pgmq }
}

function describeMigrations(
  { files, currentEmpty }: FolderFacts,
  { applied, current: { changes, failure } }: Facts,
): Status['migrations'] {
  const recorded = new Set(applied.map(({ recordedAs }) => recordedAs))
  const byRecord = new Map(files.map((file) => [file.recordedAs, file]))
  return {
    applied: applied.map(({ recordedAs, hash, appliedAt }) => {
      const unknown = { filename: recordedAs, slug: null, message: null }
      const described = describeFile(byRecord.get(recordedAs) ?? unknown)
      return { ...described, hash, appliedAt: appliedAt.toISOString() }
    }),
    pending: files.flatMap((file) =>
      file.hash === undefined || recorded.has(file.recordedAs)
        ? []
        : { ...describeFile(file), hash: file.hash },
    ),
    current: {
      empty: currentEmpty,
      ...((!currentEmpty || changes.length > 0) && { changes }),
      ...(!currentEmpty && failure !== undefined && { failure }),
    },
  }
}

function describeFile({
  filename,
  slug,
  message,
}: Pick<FileFacts, 'filename' | 'slug' | 'message'>) {
  return { filename, name: slug, message }
}
