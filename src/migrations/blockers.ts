import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors/service-error.ts'
import type { Queryable } from '../postgres/client.ts'
import { describeError } from '../postgres/errors.ts'
import { isToolSession, type ToolSessions } from './tool/cancel.ts'

/** A transaction that another session waits for: it holds the lock, or is queued before that session. */
export interface Blocker {
  /** Null for a prepared transaction. */
  readonly pid: number | null
  /** Of a prepared transaction. */
  readonly gid: string | null
  readonly application: string | null
  /** Null where the role may not see it. */
  readonly state: string | null
  /** How long ago its transaction began. */
  readonly ageMs: number | null
  /** Its literals are replaced for a log; null where the role may not see it. */
  readonly query: string | null
}

/** The sessions that wait. */
export type Waiting = { readonly pid: number } | ToolSessions

const MAX_QUERY_LENGTH = 200

/** How long the service's own session waits for a lock, about. */
const ATTEMPT_MS = 1000
const PAUSE_MS = { min: 50, extra: 150 }

/** Lists what these sessions wait for; nothing if they do not wait for a lock. */
export async function findBlockers(client: Queryable, waiting: Waiting): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `with waiting as (
       select pid
         from pg_catalog.pg_stat_activity
        where datname = pg_catalog.current_database()
          and ${isToolSession('$1', '$2')}),
     blocking as (
       select distinct pg_catalog.unnest(pg_catalog.pg_blocking_pids(pid)) as pid from waiting)
     select a.pid, null as gid, a.application_name as application, a.state,
            (1000 * extract(epoch from pg_catalog.clock_timestamp() - a.xact_start))::float8 as "ageMs",
            nullif(a.query, '<insufficient privilege>') as query
       from blocking
       join pg_catalog.pg_stat_activity as a on a.pid = blocking.pid
     union all
     -- Prepared transactions have no pid; their locks do not have one either.
     select distinct null::integer, p.gid, null, 'prepared',
            (1000 * extract(epoch from pg_catalog.clock_timestamp() - p.prepared))::float8, null
       from waiting
       join pg_catalog.pg_locks as wanted on wanted.pid = waiting.pid and not wanted.granted
       join pg_catalog.pg_locks as held
         on held.pid is null and held.granted and held.locktype = wanted.locktype
        and held.database is not distinct from wanted.database
        and held.relation is not distinct from wanted.relation
        and held.page is not distinct from wanted.page
        and held.tuple is not distinct from wanted.tuple
        and held.transactionid is not distinct from wanted.transactionid
        and held.virtualxid is not distinct from wanted.virtualxid
        and held.classid is not distinct from wanted.classid
        and held.objid is not distinct from wanted.objid
        and held.objsubid is not distinct from wanted.objsubid
       join pg_catalog.pg_locks as own
         on own.virtualtransaction = held.virtualtransaction and own.locktype = 'transactionid'
       join pg_catalog.pg_prepared_xacts as p on p.transaction = own.transactionid
      where exists (select from blocking where blocking.pid = 0)
      order by "ageMs" desc nulls last`,
    'pid' in waiting ? [null, [waiting.pid]] : [waiting.application, [...waiting.pids]],
  )
  if (rows.length === 0) return []
  // Imported only here, because its pattern takes a millisecond to compile.
  const { hideLiterals } = await import('../postgres/hide-literals.ts')
  return rows.map((row) => ({
    ...row,
    query: row.query === null ? null : hideLiterals(row.query).slice(0, MAX_QUERY_LENGTH),
  }))
}

/** Names each blocker by pid, application, state and age. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  return blockers.map(describeBlocker).join('; ')
}

function describeBlocker({ pid, gid, application, state, ageMs }: Blocker): string {
  const age = ageMs === null ? 'of unknown age' : `open for ${Math.round(ageMs / 1000)} s`
  if (pid === null) return `prepared transaction ${gid}, ${age}`
  return `pid ${pid}, application ${application || '(unnamed)'}, ${state ?? 'in an unknown state'}, ${age}`
}

export interface WatchOptions {
  /** Not the session that waits. */
  readonly client: Queryable
  readonly waiting: Waiting
  /** The longest that a session waits, if it has a limit: a shorter wait is looked at more often. */
  readonly longestWaitMs?: number | undefined
  /** Whether to look at all, which takes a connection. */
  readonly isActive?: () => boolean
  /** Called whenever the blockers were read; with an empty list once nothing blocks any more. */
  readonly onChange: (blockers: readonly Blocker[]) => void
}

/** Most waits are shorter, and need no second session. */
const FIRST_LOOK_MS = 300
const INTERVAL_MS = 500
/** How often a wait that has a limit is looked at, before it is over. */
const LOOKS_PER_WAIT = 4

/** Watches what sessions wait for, until the returned function is called. */
export function watchBlockers({
  client,
  waiting,
  longestWaitMs = 0,
  isActive = () => true,
  onChange,
}: WatchOptions): () => void {
  const limitMs = longestWaitMs > 0 ? longestWaitMs / LOOKS_PER_WAIT : Number.POSITIVE_INFINITY
  let isStopped = false
  let wasBlocked = false
  let timer: NodeJS.Timeout
  const look = async () => {
    try {
      const blockers = isActive() ? await findBlockers(client, waiting) : []
      if (isStopped) return
      if (blockers.length > 0 || wasBlocked) onChange(blockers)
      wasBlocked = blockers.length > 0
    } catch {
      // Only information: whatever is wrong with the database shows where it is used.
    }
    if (!isStopped) schedule(Math.min(INTERVAL_MS, limitMs))
  }
  const schedule = (delayMs: number) => {
    timer = setTimeout(look, delayMs).unref()
  }
  schedule(Math.min(FIRST_LOOK_MS, limitMs))
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}

/** Waits for locks that the service itself needs, such as one on the history. */
export interface BlockedWait {
  /** Remembers what was seen last. */
  note(blockers: readonly Blocker[]): void
  /** Pauses before the next attempt; throws `migration_lock_timeout` once the time is over. */
  pause(error: unknown): Promise<void>
}

export function createBlockedWait({
  timeoutMs,
  signal,
}: {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}): BlockedWait {
  let deadline: number | undefined
  let last: readonly Blocker[] = []
  return {
    note(blockers) {
      if (blockers.length > 0) last = blockers
    },
    async pause(error) {
      // The attempt that failed has waited, too.
      deadline ??= performance.now() + timeoutMs - ATTEMPT_MS
      if (performance.now() >= deadline) {
        const holder =
          last.length > 0 ? `blocked by ${describeBlockers(last)}` : describeError(error)
        throw new ServiceError(
          'migration_lock_timeout',
          `a lock that the service needs was not released within ${timeoutMs / 1000} s ` +
            `(MIGRATION_LOCK_SECONDS): ${holder}`,
          { cause: error },
        )
      }
      await sleep(PAUSE_MS.min + Math.random() * PAUSE_MS.extra, undefined, { signal }).catch(
        () => {},
      )
      signal.throwIfAborted()
    },
  }
}
