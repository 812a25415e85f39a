import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { Queryable } from '../postgres/client.ts'
import { HERE_SQL, hasStore } from './store.ts'

/** True where the mark names the very server, database and timeline on which it is read. */
export const IS_DISPOSABLE_SQL = `exists (
  select from provisioning.disposable natural join (${HERE_SQL}) as here)`

export async function isDisposable(client: Queryable): Promise<boolean> {
  if (!(await hasStore(client))) return false
  const { rows } = await client.query<{ disposable: boolean }>(
    `select ${IS_DISPOSABLE_SQL} as disposable`,
  )
  return rows[0]?.disposable === true
}

/** Which database it is, for people; no secret. */
export interface DatabaseIdentity {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** The database has not agreed to be reset. */
export function refuseNotDisposable({ name, host, port }: DatabaseIdentity): ServiceError {
  const literal = `'${name.replaceAll("'", "''")}'`
  return new ServiceError(
    'database_not_disposable',
    `database ${name} at ${host}:${port} has not agreed to be reset: it has no mark, or one that was made ` +
      'elsewhere, as a copy, a restored dump or a renamed database has. Make sure that DATABASE_URL is the ' +
      `one you mean. If all its data may be thrown away, run in it: select provisioning.allow_reset(${literal}); ` +
      'then reset with {"mode": "rebuild"}',
  )
}

/**
 * Marks a database that held nothing before the first migration runs, so that a service that is killed
 * while it migrates leaves one that can be rebuilt. Such a mark does not outlast what it was made on:
 * where nothing was migrated and yet something is there, somebody else has put it there.
 */
export async function markIfEmpty(client: Queryable, isFirst: boolean, log: Log): Promise<boolean> {
  if (!isFirst) return false
  if (await holdsNothing(client)) {
    await client.query(
      `insert into provisioning.disposable
              (system_identifier, database_oid, database_name, timeline, is_by_service)
       select here.*, true from (${HERE_SQL}) as here
       on conflict (is_only) do update
          set system_identifier = excluded.system_identifier,
              database_oid = excluded.database_oid,
              database_name = excluded.database_name,
              timeline = excluded.timeline,
              is_by_service = true`,
    )
    log.info('the database held nothing and is marked: POST /reset may throw its data away')
    return true
  }
  const { rowCount } = await client.query('delete from provisioning.disposable where is_by_service')
  if (rowCount) log.warn('the mark of an empty database was removed: it is not empty any more')
  return false
}

/** For a service that has reset switched off: takes the mark away where there is one. */
export async function removeMark(client: Queryable, log: Log): Promise<void> {
  const { rows } = await client.query<{ mayRemove: boolean }>(
    `select pg_catalog.has_schema_privilege(relnamespace, 'usage')
            and pg_catalog.has_table_privilege(pg_class.oid, 'delete') as "mayRemove"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname = 'provisioning' and relname = 'disposable'`,
  )
  if (rows[0] === undefined) return
  if (!rows[0].mayRemove) {
    log.warn('RESET_ENABLED is false: a mark that allows POST /reset, of another role, may be left')
    return
  }
  const { rowCount } = await client.query('delete from provisioning.disposable')
  if (rowCount) log.warn('RESET_ENABLED is false: the mark that allowed POST /reset was removed')
}

/** No relation, function or type that no extension owns, and no queue; but for what is made to migrate. */
async function holdsNothing(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ nothing: boolean; hasPgmq: boolean }>(
    `with own as (
       select oid from pg_namespace
        where nspname !~ '^pg_' and nspname <> 'information_schema'),
     ours (name) as (
       select unnest('{graphile_migrate.migrations, graphile_migrate.current,
                       provisioning.disposable, provisioning.baseline,
                       provisioning.baseline_baseline_id_seq, provisioning.baseline_object,
                       provisioning.baseline_relation, provisioning.baseline_row,
                       provisioning.baseline_sequence, provisioning.reset_attempt}'::text[])),
     found (classid, oid) as (
       -- Indexes, and the types of tables and arrays, only come along with what is looked for.
       select 'pg_class'::regclass, oid from pg_class
        where relnamespace in (select oid from own) and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
          and oid not in (select to_regclass(name) from ours where to_regclass(name) is not null)
       union all
       select 'pg_proc'::regclass, oid from pg_proc
        where pronamespace in (select oid from own)
          and oid not in (select oid from pg_proc
                           where pronamespace = to_regnamespace('provisioning')
                             and proname in ('allow_reset', 'forbid_reset'))
       union all
       select 'pg_type'::regclass, oid from pg_type
        where typnamespace in (select oid from own)
          and (typtype in ('d', 'e', 'r') or typtype = 'b' and typcategory <> 'A' or not typisdefined
               or typrelid in (select oid from pg_class where relkind = 'c')))
     select not exists (
              select from found
               where not exists (
                       select from pg_depend
                        where pg_depend.classid = found.classid and objid = found.oid
                          and deptype = 'e')) as nothing,
            to_regclass('pgmq.meta') is not null as "hasPgmq"`,
  )
  if (!rows[0]?.nothing) return false
  if (!rows[0].hasPgmq) return true
  const { rowCount } = await client.query('select from pgmq.meta limit 1')
  return rowCount === 0
}
