import type { Client } from 'pg'
import { ServiceError } from '../errors/service-error.ts'
import { isBlocked, isInsufficientPrivilege } from '../postgres/errors.ts'
import { createSerialSession } from '../postgres/serial-session.ts'
import { createLeaseFunctions } from './lease-functions.ts'
import {
  endLeases,
  type LeaseRequest,
  type LendingRules,
  lendReady,
  type NewLease,
  recoverLeases,
} from './leases.ts'

/** Makes leases: each call is one round trip. */
export interface Lending {
  /** As `lendReady`. */
  lend(requests: readonly LeaseRequest[], rules: LendingRules): Promise<readonly NewLease[]>
  /**
   * Opens the session, if there is none: then it is there when a lease is wanted, and the server knows all leases. Ends
   * those that a call has made whose answer was lost: nobody knows them.
   */
  open(): Promise<void>
  /** As `open`, unless an earlier call is still trying. */
  keepOpen(): Promise<void>
  /** As `open`, if there are leases to end. */
  endUnanswered(): Promise<void>
  close(): Promise<void>
}

/** The first half of an advisory lock; the second is the number of a keeper. */
const LENDING_LOCKS = 1_934_571_123

/** How long a request waits for the end of an earlier session, which is terminated, before it is refused. */
const EARLIER_SESSION_MS = 5000

/** A commit that was not waited for is on disk after three times `wal_writer_delay`, which is at most 10 s. */
const ON_DISK_AFTER_MS = 60_000

export interface LendingOptions {
  /** Opens a session in the database that has the leases. */
  readonly open: () => Promise<Client>
  readonly keeper: number
  /** Called with the number of databases that were given up (`recoverLeases`), if there are any. */
  readonly onForgotten: (count: number) => void
}

/** Creates it; each session that is opened recovers from a crash of the server first. */
export function createLending({ open, keeper, onForgotten }: LendingOptions): Lending {
  /** What the last call asked for, if its answer was lost: the server may have made the leases, or still do so. */
  let unanswered: readonly string[] = []
  /** The latest lease of each database that a crash of the server may make it forget. */
  const latest = new Map<number, NewLease>()
  let opening: Promise<void> | undefined
  const session = createSerialSession({
    open,
    async onOpen(client) {
      await endEarlierSession(client, keeper)
      await createLeaseFunctions(client)
      const count = await recoverLeases(client, [...latest.values()])
      if (count > 0) onForgotten(count)
    },
  })

  async function end(client: Client): Promise<void> {
    if (unanswered.length > 0) await endLeases(client, unanswered)
    unanswered = []
  }

  function note(lease: NewLease): void {
    latest.delete(lease.oid)
    latest.set(lease.oid, lease)
    for (const { oid, lentAt } of latest.values()) {
      if (lease.lentAt.getTime() - lentAt.getTime() < ON_DISK_AFTER_MS) return
      latest.delete(oid)
    }
  }

  const openSession = () => session.run(end)

  return {
    lend: (requests, rules) =>
      session.run(async (client) => {
        await end(client)
        unanswered = requests.map(({ id }) => id)
        const leases = await lendReady(client, requests, rules)
        unanswered = []
        for (const lease of leases) note(lease)
        return leases
      }),
    open: openSession,
    keepOpen() {
      // While the database is away, attempts must not pile up in front of requests.
      opening ??= openSession().finally(() => {
        opening = undefined
      })
      return opening
    },
    async endUnanswered() {
      if (unanswered.length > 0) await openSession()
    },
    close: session.close,
  }
}

/**
 * Waits until nothing runs any more of what an earlier session of this service was sent: a server that was silent
 * runs it when it is back.
 */
async function endEarlierSession(client: Client, keeper: number): Promise<void> {
  await client
    .query(
      `select pg_catalog.pg_terminate_backend(pid)
         from pg_catalog.pg_locks
         join pg_catalog.pg_stat_activity using (pid)
        where locktype = 'advisory' and classid = $1::int::oid and objid = $2::int::oid and objsubid = 2
          and datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()`,
      [LENDING_LOCKS, keeper],
    )
    .catch((error) => {
      // It may be a session of the role that DATABASE_URL named before: that ends by itself.
      if (!isInsufficientPrivilege(error)) throw error
    })
  try {
    await client.query(
      `set local lock_timeout = '${EARLIER_SESSION_MS}ms';
       select pg_catalog.pg_advisory_lock(${LENDING_LOCKS}, ${keeper})`,
    )
  } catch (error) {
    if (!isBlocked(error)) throw error
    throw new ServiceError(
      'database_lost',
      'the session that made leases was lost, and the server has not ended it yet; try again',
      { cause: error },
    )
  }
}
