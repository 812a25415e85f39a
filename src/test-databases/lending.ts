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
} from './leases.ts'

/** Makes leases: each call is one round trip, which waits for the disk. */
export interface Lending {
  /** As `lendReady`. */
  lend(requests: readonly LeaseRequest[], rules: LendingRules): Promise<readonly NewLease[]>
  /** Opens the session, if there is none: then it is there when a lease is wanted. */
  open(): Promise<void>
  /** Ends the leases that a call has made whose answer was lost: nobody knows them. */
  endUnanswered(): Promise<void>
  close(): Promise<void>
}

/** The first half of an advisory lock; the second is the number of a keeper. */
const LENDING_LOCKS = 1_934_571_123

/** How long a request waits for the end of an earlier session, which is terminated, before it is refused. */
const EARLIER_SESSION_MS = 5000

/** Creates it; `open` opens a session in the database that has the leases. */
export function createLending(open: () => Promise<Client>, keeper: number): Lending {
  /** What the last call asked for, if its answer was lost: the server may have made the leases, or still do so. */
  let unanswered: readonly string[] = []
  let ending: Promise<void> | undefined
  const session = createSerialSession({
    open,
    async onOpen(client) {
      await endEarlierSession(client, keeper)
      await createLeaseFunctions(client)
    },
  })

  async function end(client: Client): Promise<void> {
    if (unanswered.length > 0) await endLeases(client, unanswered)
    unanswered = []
  }

  return {
    lend: (requests, rules) =>
      session.run(async (client) => {
        await end(client)
        unanswered = requests.map(({ id }) => id)
        const leases = await lendReady(client, requests, rules)
        unanswered = []
        return leases
      }),
    open: () => session.run(async () => {}),
    async endUnanswered() {
      if (unanswered.length === 0) return
      // While the database is away, attempts must not pile up in front of requests.
      ending ??= session.run(end).finally(() => {
        ending = undefined
      })
      await ending
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
