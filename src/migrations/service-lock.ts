import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Queryable } from '../postgres/client.ts'
import type { SessionClient } from '../postgres/connection/client.ts'

/** A PostgreSQL advisory lock. */
interface Lock {
  readonly key: string
  readonly name: string
  /** What to report when the wait times out. */
  readonly describeTimeout: (seconds: number) => string
}

/**
 * The lock that instances of this service acquire before they read the history. It is not
 * graphile-migrate's own: the tool fails at once if another session holds that one.
 */
export const SERVICE_LOCK: Lock = {
  key: '7234318460551720296',
  name: 'the migration lock',
  describeTimeout: (seconds) => `could not acquire the migration lock within ${seconds} s`,
}

/** The lock that graphile-migrate holds while it runs, wherever it was started. */
const TOOL_LOCK: Lock = {
  key: '4727445306447283',
  name: "graphile-migrate's own lock",
  describeTimeout: (seconds) => `graphile-migrate's own lock was not released within ${seconds} s`,
}

/**
 * Short beside a migration, long beside the query; random, so that many instances spread out. The longer
 * a wait has been, the longer its pauses are.
 */
const RETRY_MS = { min: 50, max: 150, longest: 750, growth: 1.3 }

const REPORT_EVERY_MS = 1000

/** How to wait for the lock. */
export interface LockOptions {
  /** Opens a session for an attempt. A session that does not get the lock is closed at once. */
  readonly connect: () => Promise<SessionClient>
  /** For both locks together; 0 tries once. */
  readonly timeoutMs: number
  /** Ends the wait; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** Called at most once a second, with the session that holds the lock. */
  readonly onWaiting: (detail: string) => void
  /** Takes over the session after successful work, once the lock is released. Default: it is closed. */
  readonly onReleased?: ((client: SessionClient) => void) | undefined
}

/** The migration lock, while its session holds it. */
export interface HeldLock {
  /** Waits, within the same timeout, until no other session holds graphile-migrate's own lock. */
  waitForTool(): Promise<void>
}

/**
 * Runs `work` with a session that holds the migration lock. The lock is polled, and no connection is
 * held between two attempts: any number of instances can wait in a database that has few connections
 * left. A blocking statement would also hold a snapshot, and a `create index concurrently` of the
 * session that holds the lock would wait for that snapshot.
 */
export async function withMigrationLock<T>(
  options: LockOptions,
  work: (client: SessionClient, lock: HeldLock) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs
  const session = await poll(SERVICE_LOCK, deadline, options, () => tryWithSession(options.connect))
  const { client } = session
  let { isToolIdle } = session
  const waitForTool = async () => {
    const wasIdle = isToolIdle
    isToolIdle = false
    if (wasIdle) return
    await poll(TOOL_LOCK, deadline, options, async () => {
      // Only observed: acquiring it, even for a moment, would make a tool elsewhere fail.
      const holder = await findHolder(client, TOOL_LOCK)
      return holder === undefined ? { acquired: undefined } : { holder }
    })
  }
  let isKept = false
  try {
    const result = await work(client, { waitForTool })
    isKept = options.onReleased !== undefined
    return result
  } finally {
    // A lost connection has released its locks.
    const isReleased = await release(client, SERVICE_LOCK).then(
      () => true,
      () => false,
    )
    if (isKept && isReleased) options.onReleased?.(client)
    else await client.end().catch(() => {})
  }
}

/** Opens a session, which is closed again unless it gets the lock. */
async function tryWithSession(connect: LockOptions['connect']): Promise<Attempt<LockSession>> {
  const client = await connect()
  let isAcquired = false
  try {
    const found = await tryAcquire(client)
    isAcquired = found.isAcquired
    if (isAcquired) return { acquired: { client, isToolIdle: found.isToolIdle } }
    return { holder: (await findHolder(client, SERVICE_LOCK)) ?? 'released a moment ago' }
  } finally {
    if (!isAcquired) await client.end().catch(() => {})
  }
}

/** A session that holds the lock. */
interface LockSession {
  readonly client: SessionClient
  /** Nobody held graphile-migrate's own lock in the moment after. */
  readonly isToolIdle: boolean
}

type Attempt<T> = { readonly acquired: T } | { readonly holder: string }

async function poll<T>(
  lock: Lock,
  deadline: number,
  { signal, timeoutMs, onWaiting }: LockOptions,
  attempt: () => Promise<Attempt<T>>,
): Promise<T> {
  let nextReportAt = 0
  let { max } = RETRY_MS
  while (true) {
    const result = await attempt()
    if ('acquired' in result) return result.acquired
    signal.throwIfAborted()
    const { holder } = result
    const now = performance.now()
    if (now >= deadline) {
      throw new ServiceError(
        'migration_lock_timeout',
        `${lock.describeTimeout(timeoutMs / 1000)} (MIGRATION_LOCK_SECONDS): ${holder}`,
      )
    }
    if (now >= nextReportAt) {
      onWaiting(`waiting for ${lock.name}: ${holder}`)
      nextReportAt = now + REPORT_EVERY_MS
    }
    const pauseMs = RETRY_MS.min + Math.random() * (max - RETRY_MS.min)
    max = Math.min(RETRY_MS.longest, max * RETRY_MS.growth)
    await sleep(Math.min(pauseMs, deadline - now), undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

/** Tries to acquire the service's lock, and looks for the tool's in the same round trip. */
async function tryAcquire(
  client: Queryable,
): Promise<{ readonly isAcquired: boolean; readonly isToolIdle: boolean }> {
  const { rows } = await client.query<{ isAcquired: boolean; isToolIdle: boolean }>(
    `select acquired as "isAcquired",
            case when acquired then not exists (${holderQuery('$2')}) else false end as "isToolIdle"
       from (select pg_catalog.pg_try_advisory_lock($1) as acquired offset 0) as attempt`,
    [SERVICE_LOCK.key, TOOL_LOCK.key],
  )
  return rows[0] ?? { isAcquired: false, isToolIdle: false }
}

async function release(client: Queryable, { key }: Lock): Promise<void> {
  await client.query('select pg_catalog.pg_advisory_unlock($1)', [key])
}

/** Finds the backends that hold the lock of this key in this database. */
const holderQuery = (key: string): string => `
     select pid
       from pg_catalog.pg_lock_status() as lock
      where locktype = 'advisory'
        and objsubid = 1
        and granted
        and database = (select oid from pg_catalog.pg_database
                         where datname = pg_catalog.current_database())
        and (classid::bigint << 32) | objid::bigint = ${key}`

/** Describes the session that holds the lock in this database; undefined if none does. */
async function findHolder(client: Queryable, { key }: Lock): Promise<string | undefined> {
  // Alone first, and without the view: to plan the join takes longer than all other queries of a start.
  const { rows: locks } = await client.query<{ pid: number }>(holderQuery('$1'), [key])
  const [held] = locks
  if (held === undefined) return undefined
  const { rows } = await client.query<{ pid: number; application: string; since: Date | null }>(
    `select lock.pid, coalesce(nullif(application_name, ''), '(unnamed)') as application,
            backend_start as since
       from (values ($1::integer)) as lock (pid)
       left join pg_catalog.pg_stat_activity as activity on activity.pid = lock.pid`,
    [held.pid],
  )
  const holder = rows[0]
  if (holder === undefined) return undefined
  const since = holder.since?.toISOString() ?? 'unknown'
  return `held by pid ${holder.pid}, application ${holder.application}, connected since ${since}`
}
