import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientBase } from 'pg'
import { ServiceError } from '../errors/service-error.ts'

/**
 * The advisory lock that instances of this service take before they look at the history. Not the
 * tool's own: a service that held that one would make its own tool fail.
 */
const SERVICE_LOCK = { key: '7234318460551720296', name: 'the migration lock of commandbus-db' }

/** Held by graphile-migrate while it runs, also by its command line or a job elsewhere. */
const TOOL_LOCK = { key: '4727445306447283', name: "graphile-migrate's own lock" }

/** Short beside a migration, long beside the query; apart for each, so that crowds spread out. */
const RETRY_MS = { min: 50, max: 150 }

type Lock = typeof SERVICE_LOCK

export interface LockOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Told once a second, at most, who holds the lock that is being waited for. */
  readonly onWaiting: (detail: string) => void
}

export interface HeldLock {
  /** Waits, within the same time, until nobody else holds the tool's own lock. */
  waitForTool(): Promise<void>
}

/**
 * Runs `work` while this session holds the service's migration lock. Tries again and again instead
 * of blocking: a blocked statement would hold a snapshot, which keeps a `create index concurrently`
 * of whoever has the lock from ending.
 */
export async function withMigrationLock<T>(
  client: ClientBase,
  options: LockOptions,
  work: (lock: HeldLock) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs
  await retry(client, SERVICE_LOCK, () => tryLock(client, SERVICE_LOCK), deadline, options)
  try {
    // Only looked at: taking it, for however short a time, would make a tool elsewhere fail.
    const isFree = async () => (await findHolder(client, TOOL_LOCK)) === undefined
    return await work({ waitForTool: () => retry(client, TOOL_LOCK, isFree, deadline, options) })
  } finally {
    // A connection that is gone has taken its locks with it.
    await unlock(client, SERVICE_LOCK).catch(() => {})
  }
}

async function retry(
  client: ClientBase,
  lock: Lock,
  attempt: () => Promise<boolean>,
  deadline: number,
  { signal, timeoutMs, onWaiting }: LockOptions,
): Promise<void> {
  let nextWordAt = 0
  while (!(await attempt())) {
    const now = performance.now()
    const holder = (await findHolder(client, lock)) ?? 'its holder has just let it go'
    if (now >= deadline) {
      throw new ServiceError(
        'migration_lock_timeout',
        `${lock.name} was not had within ${timeoutMs / 1000} s (MIGRATION_LOCK_SECONDS): ${holder}`,
      )
    }
    if (now >= nextWordAt) {
      onWaiting(`waiting for ${lock.name}: ${holder}`)
      nextWordAt = now + 1000
    }
    const pauseMs = RETRY_MS.min + Math.random() * (RETRY_MS.max - RETRY_MS.min)
    await sleep(Math.min(pauseMs, deadline - now), undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

async function tryLock(client: ClientBase, { key }: Lock): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_catalog.pg_try_advisory_lock($1) as locked',
    [key],
  )
  return rows[0]?.locked === true
}

async function unlock(client: ClientBase, { key }: Lock): Promise<void> {
  await client.query('select pg_catalog.pg_advisory_unlock($1)', [key])
}

/** Who holds the lock, in words; undefined where nobody does. */
async function findHolder(client: ClientBase, { key }: Lock): Promise<string | undefined> {
  const { rows } = await client.query<{ pid: number; application: string; since: Date | null }>(
    `select l.pid, coalesce(nullif(a.application_name, ''), '(unnamed)') as application,
            a.backend_start as since
       from pg_catalog.pg_locks l
       left join pg_catalog.pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory'
        and l.objsubid = 1
        and l.granted
        and l.database = (select oid from pg_catalog.pg_database
                           where datname = pg_catalog.current_database())
        and (l.classid::bigint << 32) | l.objid::bigint = $1`,
    [key],
  )
  const holder = rows[0]
  if (holder === undefined) return undefined
  const since = holder.since?.toISOString() ?? 'unknown'
  return `held by pid ${holder.pid}, application ${holder.application}, connected since ${since}`
}
