import type { Blocker as OpenTransaction } from '../migrations/blockers.ts'
import type { Queryable } from '../postgres/client.ts'
import { isInsufficientPrivilege, sqlstateOf } from '../postgres/errors.ts'
import { literal } from '../postgres/quote.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'

/** A transaction that blocks the reset, with the first 200 characters of its query. */
export interface Blocker extends OpenTransaction {
  /** The role that resets may not terminate it. */
  readonly mayNotEnd: boolean
}

export interface BlockerSearch {
  /** The relations that the reset locks against writers; those of the store are added. */
  readonly oids: readonly number[]
  /** Relations and schemas that the reset never locks. */
  readonly ignoredOids?: readonly number[]
  /** The relation whose lock the last attempt did not get. */
  readonly relation: string | undefined
  /** That lock excludes readers, too; where `relation` is undefined, it is one on any object. */
  readonly excludesReaders: boolean
  /** Leaves out younger transactions: they began after the last attempt, which cannot have waited for them. */
  readonly minAgeMs: number
}

/**
 * Lists the transactions that hold, or wait for, a lock that the reset needs. The reset holds no lock
 * itself at that time, so this finds every blocker and not only the first one.
 */
export async function listBlockers(
  client: Queryable,
  { oids, ignoredOids = [], relation, excludesReaders, minAgeMs }: BlockerSearch,
): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `with needed (oid) as (
       select unnest($1::oid[])
        union all
       select unnest(array[to_regclass($2), to_regclass('provisioning.disposable'),
                           to_regclass('provisioning.baseline')]::oid[])),
     blocking as (
       select distinct pid, case when pid is null then virtualtransaction end as virtual
         from pg_locks
        where locktype in ('relation', 'object')
          -- Oids are unique per database only: a template copy has the same ones.
          and database = (select oid from pg_database where datname = current_database())
          and pid is distinct from pg_backend_pid()
          and coalesce(relation, objid) <> all ($5::oid[])
          and (relation in (select oid from needed) and mode <> 'AccessShareLock'
               or $3 and (relation = to_regclass($2)
                          or to_regclass($2) is null and coalesce(relation, objid) >= 16384)))
     select blocking.pid, gid, application_name as application, state,
            round(1000 * extract(epoch from
              clock_timestamp() - coalesce(xact_start, prepared.prepared)))::float8 as "ageMs",
            nullif(left(query, 200), '<insufficient privilege>') as query,
            not coalesce(me.rolsuper or not other.rolsuper
                         and (pg_has_role(other.oid, 'usage')
                              or gid is null and pg_has_role('pg_signal_backend', 'usage')),
                         false) as "mayNotEnd"
       from blocking
       left join pg_stat_activity as activity on activity.pid = blocking.pid
       -- A prepared transaction has no pid: the lock on its own transaction id identifies it.
       left join pg_locks as own
         on own.pid is null and own.locktype = 'transactionid'
        and own.virtualtransaction = blocking.virtual
       left join pg_prepared_xacts as prepared on prepared.transaction = own.transactionid
       left join pg_roles as other on other.rolname = coalesce(usename, prepared.owner)
       left join pg_roles as me on me.rolname = current_user
      where coalesce(xact_start, prepared.prepared, '-infinity')
            < clock_timestamp() - make_interval(secs => $4 / 1000.0)
      order by "ageMs" desc nulls last`,
    [oids, relation ?? null, excludesReaders, minAgeMs, ignoredOids],
  )
  return rows
}

/** Terminates sessions and rolls prepared transactions back; returns those that the role may not end. */
export async function terminateBlockers(
  client: Queryable,
  blockers: readonly Blocker[],
): Promise<Blocker[]> {
  const denied: Blocker[] = []
  for (const blocker of blockers) {
    try {
      await terminate(client, blocker)
    } catch (error) {
      // A prepared transaction that another session has ended in the meantime.
      if (sqlstateOf(error) === SQLSTATE.undefinedObject) continue
      if (!isInsufficientPrivilege(error)) throw error
      denied.push(blocker)
    }
  }
  return denied
}

async function terminate(client: Queryable, { pid, gid }: Blocker): Promise<void> {
  if (pid !== null) {
    // Waits until the session is gone, for five seconds at most.
    await client.query('select pg_terminate_backend($1, 5000)', [pid])
  } else if (gid !== null) {
    await client.query(`rollback prepared ${literal(gid)}`)
  }
}
