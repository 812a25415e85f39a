import type { Queryable } from '../postgres/client.ts'

/** A transaction that is in the way. */
export interface Blocker {
  /** Null for a prepared transaction. */
  readonly pid: number | null
  /** Of a prepared transaction. */
  readonly gid: string | null
  readonly application: string | null
  readonly state: string | null
  readonly ageMs: number | null
  /** Its first 200 characters; null where the role may not see it. */
  readonly query: string | null
  /** The role that resets may not end it. */
  readonly mayNotEnd: boolean
}

export interface BlockersOptions {
  /** Relations that are needed without writers; what the service itself keeps is, too. */
  readonly oids: readonly number[]
  /** The relation that was in the way at last. */
  readonly relation: string | undefined
  /** `relation`, or whatever there is where none is named, is needed without readers. */
  readonly needsAll: boolean
  /** Transactions that are younger came while the reset gave way; they were not what it waited for. */
  readonly minAgeMs: number
}

/**
 * Lists the transactions that hold, or stand in line for, what the reset needs. Asked once the reset has
 * given way, so it covers everything that is in the way and not only what came first.
 */
export async function listBlockers(
  client: Queryable,
  { oids, relation, needsAll, minAgeMs }: BlockersOptions,
): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `with needed (oid) as (
       select unnest($1::oid[])
        union all
       select unnest(array[to_regclass($2), to_regclass('provisioning.disposable'),
                           to_regclass('provisioning.baseline')]::oid[])),
     holder as (
       select distinct pid, case when pid is null then virtualtransaction end as virtual
         from pg_locks
        where locktype in ('relation', 'object')
          and database = (select oid from pg_database where datname = current_database())
          and pid is distinct from pg_backend_pid()
          and (relation in (select oid from needed) and mode <> 'AccessShareLock'
               or $3 and (relation = to_regclass($2)
                          or to_regclass($2) is null and coalesce(relation, objid) >= 16384)))
     select holder.pid, gid, application_name as application, state,
            round(1000 * extract(epoch from
              clock_timestamp() - coalesce(xact_start, prepared.prepared)))::float8 as "ageMs",
            nullif(left(query, 200), '<insufficient privilege>') as query,
            not coalesce(me.rolsuper or not other.rolsuper
                         and (pg_has_role(other.oid, 'usage')
                              or gid is null and pg_has_role('pg_signal_backend', 'usage')),
                         false) as "mayNotEnd"
       from holder
       left join pg_stat_activity as activity on activity.pid = holder.pid
       -- A prepared transaction has no pid; its lock on its own number says which one it is.
       left join pg_locks as own
         on own.pid is null and own.locktype = 'transactionid'
        and own.virtualtransaction = holder.virtual
       left join pg_prepared_xacts as prepared on prepared.transaction = own.transactionid
       left join pg_roles as other on other.rolname = coalesce(usename, prepared.owner)
       left join pg_roles as me on me.rolname = current_user
      where coalesce(xact_start, prepared.prepared, '-infinity')
            < clock_timestamp() - make_interval(secs => $4 / 1000.0)
      order by "ageMs" desc nulls last`,
    [oids, relation ?? null, needsAll, minAgeMs],
  )
  return rows
}

/** Ends them; returns those that the role may not end. */
export async function endBlockers(
  client: Queryable,
  blockers: readonly Blocker[],
): Promise<Blocker[]> {
  const refused: Blocker[] = []
  for (const blocker of blockers) {
    try {
      await end(client, blocker)
    } catch (error) {
      const { code } = error as { code?: string }
      // Gone by itself meanwhile: just as well.
      if (code === UNDEFINED_OBJECT) continue
      if (code !== INSUFFICIENT_PRIVILEGE) throw error
      refused.push(blocker)
    }
  }
  return refused
}

const INSUFFICIENT_PRIVILEGE = '42501'
const UNDEFINED_OBJECT = '42704'

async function end(client: Queryable, { pid, gid }: Blocker): Promise<void> {
  if (pid !== null) {
    // Waits until it is gone, or for five seconds.
    await client.query('select pg_terminate_backend($1, 5000)', [pid])
  } else if (gid !== null) {
    await client.query(`rollback prepared '${gid.replaceAll("'", "''")}'`)
  }
}
