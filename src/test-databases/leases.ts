import { type Client, escapeIdentifier } from 'pg'
import { SERVICE_NAME } from '../postgres/application-name.ts'
import type { Queryable } from '../postgres/client.ts'

/** A database that is lent, as every service on this database sees it. */
export interface Lease {
  readonly id: string
  readonly name: string
  readonly label: string | null
  readonly lentAt: Date
  readonly expiresAt: Date
}

/** A lease with how many sessions its borrower has open. */
export interface LeaseInUse extends Lease {
  readonly connections: number
}

export interface LeaseRequest {
  readonly id: string
  readonly label: string | null
  readonly ttlSeconds: number
}

/** What all leases of one call have in common. */
export interface LendingRules {
  /** The key of the template. */
  readonly template: string
  /** How many databases may be lent at once. */
  readonly max: number
  /** Whose databases are lent first. */
  readonly keeper: number
}

const LEASE = `lease_id as id, test_database.name, label, lent_at as "lentAt", expires_at as "expiresAt"`

/** A lease is extended by this while its borrower has sessions open. */
const EXTENSION_SECONDS = 60
/** The longest that it lasts then, as a multiple of what was asked for. */
const MAX_EXTENSION = 10

/** A lease that was just made, with the oid of its database. */
export interface NewLease extends Lease {
  readonly oid: number
}

/**
 * Lends databases that are ready, beginning with the last one that was cleaned, which the server knows best.
 * Returns leases for the first of the requests, in their order: fewer if none is ready any more, or as many as
 * may be are lent. A lease is on disk before its database can be entered; where the answer is lost, leases may
 * have been made. The session needs the functions of `createLeaseFunctions`.
 */
export async function lendReady(
  client: Client,
  requests: readonly LeaseRequest[],
  { template, keeper, max }: LendingRules,
): Promise<readonly NewLease[]> {
  const { rows } = await client.query<NewLease>({
    name: 'lend_databases',
    text: `select oid, ${LEASE} from pg_temp.lend_databases($1, $2, $3, $4) as test_database`,
    values: [toJson(requests), template, keeper, max],
  })
  return rows
}

/**
 * Lets sessions into a database, or keeps them out; those that are in it stay. Does not wait for the disk:
 * a crash takes what came after it, too.
 */
export async function setAllowed(
  client: Queryable,
  name: string,
  isAllowed: boolean,
): Promise<void> {
  await client.query(
    `set local synchronous_commit = off;
     alter database ${escapeIdentifier(name)} with allow_connections ${isAllowed}`,
  )
}

/** In UTF-8 there is no half of a surrogate pair, which PostgreSQL would refuse. */
function toJson(requests: readonly LeaseRequest[]): string {
  const inUtf8 = (text: string | null) => text && Buffer.from(text).toString()
  return JSON.stringify(
    requests.map(({ label, ...request }) => ({ ...request, label: inUtf8(label) })),
  )
}

/** A lease that has ended, and the service that may clean its database. */
export interface EndedLease {
  readonly id: string
  readonly oid: number
  readonly keeper: number
}

/**
 * Ends leases, and keeps new sessions out of their databases; returns those that there were. The session
 * needs the functions of `createLeaseFunctions`.
 */
export async function endLeases(client: Client, ids: readonly string[]): Promise<EndedLease[]> {
  const { rows } = await client.query<EndedLease>({
    name: 'end_leases',
    text: 'select lease_id as id, oid, keeper from pg_temp.end_leases($1)',
    values: [ids],
  })
  return rows
}

/** Lets a lease last for this long from now on; false if there is none with this id. */
export async function extendLease(
  client: Queryable,
  id: string,
  ttlSeconds: number,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `update provisioning.test_database
        set ttl_seconds = $2::int, granted_at = now(),
            expires_at = now() + pg_catalog.make_interval(secs => $2::int)
      where lease_id = $1`,
    [id, ttlSeconds],
  )
  return rowCount === 1
}

/** The sessions of borrowers: not those that the service keeps for cleaning. */
const CONNECTIONS = `(
  select count(*)::int
    from pg_catalog.pg_stat_activity
   where datid = test_database.oid and usesysid is not null
     and application_name not like '${SERVICE_NAME}%')`

/** Lists the leases, oldest first; only the one with this id, if it is given. */
export async function listLeases(client: Queryable, id?: string): Promise<LeaseInUse[]> {
  const { rows } = await client.query<LeaseInUse>(
    `select ${LEASE}, ${CONNECTIONS} as connections
       from provisioning.test_database
      where state = 'lent' and ($1::uuid is null or lease_id = $1)
      order by lent_at, oid`,
    [id],
  )
  return rows
}

/** Counts the leases, and the databases that are ready to be lent. */
export async function countDatabases(
  client: Queryable,
): Promise<{ readonly lent: number; readonly ready: number }> {
  const { rows } = await client.query<{ lent: number; ready: number }>(
    `select count(*) filter (where state = 'lent')::int as lent,
            count(*) filter (where state = 'ready' and not is_template)::int as ready
       from provisioning.test_database`,
  )
  return rows[0] ?? { lent: 0, ready: 0 }
}

/**
 * Takes back what was not returned in time. A lease whose borrower has sessions open is extended by a
 * minute, up to ten times what was asked for; then its database is to be dropped by `keeper`. Returns
 * whether any lease ended.
 */
export async function endExpiredLeases(client: Queryable, keeper: number): Promise<boolean> {
  const { rows } = await client.query<{ isEnded: boolean }>(
    `with expired as (
       select test_database.oid, ${CONNECTIONS} as connections,
              granted_at + pg_catalog.make_interval(secs => ${MAX_EXTENSION} * ttl_seconds) as last_moment
         from provisioning.test_database
        where state = 'lent' and expires_at <= now()
          for update skip locked),
     decided as (
       select *, case when connections = 0 then 'returned'
                      when last_moment <= now() then 'dropping'
                      else 'lent' end as next_state
         from expired)
     update provisioning.test_database
        set state = next_state,
            lease_id = case when next_state = 'lent' then lease_id end,
            keeper = case when next_state = 'dropping' then $1 else keeper end,
            expires_at = least(now() + interval '${EXTENSION_SECONDS} s', last_moment),
            changed_at = case when next_state = 'lent' then changed_at else now() end
       from decided
      where test_database.oid = decided.oid and lease_id is not null
     returning next_state <> 'lent' as "isEnded"`,
    [keeper],
  )
  return rows.some(({ isEnded }) => isEnded)
}
