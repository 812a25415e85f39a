import { isSystemSchema } from '../catalog/scope.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Log } from '../logger.ts'
import type { Queryable } from '../postgres/client.ts'
import { literal } from '../postgres/quote.ts'
import { sql } from '../postgres/sql-text.ts'
import { hasStore, isOwnRelation } from './store.ts'

/** True where the row names the very server, database and timeline on which it is read. */
export const IS_DISPOSABLE_SQL = `exists (
  select from provisioning.disposable natural join provisioning.this_database)`

/** The columns of provisioning.this_database, as text. */
export interface ThisDatabase {
  readonly systemIdentifier: string
  readonly databaseOid: string
  readonly databaseName: string
  readonly timeline: string
}

/** Reads what a mark has to name. It is the same for as long as the session lasts. */
export async function readThisDatabase(client: Queryable): Promise<ThisDatabase> {
  const { rows } = await client.query<ThisDatabase>(
    `select system_identifier::text as "systemIdentifier",
            database_oid::text as "databaseOid",
            database_name::text as "databaseName",
            timeline::text as timeline
       from provisioning.this_database`,
  )
  return rows[0] as ThisDatabase
}

/**
 * The same as IS_DISPOSABLE_SQL, and cheaper, in the session that has read which database it is in: none is
 * renamed while a session is in it, and a session of a standby that is promoted has nothing to reset before.
 */
export function isMarkedSql(here: ThisDatabase): string {
  return sql`
    exists (
      select from provisioning.disposable
       where system_identifier = ${here.systemIdentifier}
         and database_oid = ${here.databaseOid}
         and database_name = ${literal(here.databaseName)}
         and timeline = ${here.timeline})`
}

/** Whether the database is marked disposable, so that a reset may throw its data away. */
export async function isDisposable(client: Queryable): Promise<boolean> {
  if (!(await hasStore(client))) return false
  const { rows } = await client.query<{ isDisposable: boolean }>(
    `select ${IS_DISPOSABLE_SQL} as "isDisposable"`,
  )
  return rows[0]?.isDisposable === true
}

/** Which database it is, for people; holds no secret. */
export interface DatabaseIdentity {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** The database is not marked disposable, or the row was made for another one. */
export function notDisposableError({ name, host, port }: DatabaseIdentity): ServiceError {
  return new ServiceError(
    'database_not_disposable',
    `database ${name} at ${host}:${port} is not marked disposable. It never was, or a service was started ` +
      'here with RESET_ENABLED=false, which removes the mark, or it was copied, restored, renamed or promoted ' +
      'since, which makes the mark invalid. Check that this is the database ' +
      `you mean. If all its data may be thrown away, run in it: select provisioning.allow_reset(${literal(name)}); ` +
      'then reset with {"mode": "rebuild"}',
  )
}

/**
 * Marks an empty database disposable before its first migration, so that a service killed while it
 * migrates leaves a database that can be rebuilt. If the first migration has yet to run and the database
 * is no longer empty, another client has filled it, and the mark is removed.
 */
export async function markDisposableIfEmpty(
  client: Queryable,
  isFirstMigration: boolean,
  log: Log,
): Promise<boolean> {
  if (!isFirstMigration) return false
  if (await isEmpty(client)) {
    await markDisposable(client)
    log.info('the database is empty and was marked disposable: POST /reset may throw its data away')
    return true
  }
  const { rowCount } = await client.query('delete from provisioning.disposable where is_by_service')
  if (rowCount) log.warn('the database is no longer marked disposable: it is not empty any more')
  return false
}

/** Marks a database disposable that the service itself has created. */
export async function markDisposable(client: Queryable): Promise<void> {
  await client.query(
    `insert into provisioning.disposable
            (system_identifier, database_oid, database_name, timeline, is_by_service)
     select this_database.*, true from provisioning.this_database
     on conflict (is_only) do update
        set system_identifier = excluded.system_identifier,
            database_oid = excluded.database_oid,
            database_name = excluded.database_name,
            timeline = excluded.timeline,
            is_by_service = true`,
  )
}

/** With reset switched off, a database does not stay marked disposable. Touches only the service's own table. */
export async function unmarkDisposable(client: Queryable, log: Log): Promise<void> {
  const { rows } = await client.query<{ mayDelete: boolean }>(
    `select pg_catalog.has_schema_privilege(relnamespace, 'usage')
            and pg_catalog.has_table_privilege(pg_class.oid, 'delete') as "mayDelete"
       from pg_catalog.pg_class
       join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where ${isOwnRelation('disposable')}`,
  )
  if (rows[0] === undefined) return
  if (!rows[0].mayDelete) {
    log.warn('RESET_ENABLED is false, but another role may have marked the database disposable')
    return
  }
  const { rowCount } = await client.query('delete from provisioning.disposable')
  if (rowCount) log.warn('RESET_ENABLED is false: the database is no longer marked disposable')
}

/**
 * Whether there is no relation, function or type that no extension owns, and no queue. The tables of the
 * migration tool and of the store do not count.
 */
async function isEmpty(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ hasNoObject: boolean; hasPgmq: boolean }>(
    `with candidate_schema as (
       select oid from pg_namespace where not ${isSystemSchema('nspname')}),
     expected (name) as (
       select unnest('{graphile_migrate.migrations, graphile_migrate.current,
                       provisioning.store_format, provisioning.this_database,
                       provisioning.disposable, provisioning.baseline,
                       provisioning.baseline_baseline_id_seq, provisioning.baseline_object,
                       provisioning.baseline_relation, provisioning.baseline_row,
                       provisioning.baseline_sequence, provisioning.reset_attempt,
                       provisioning.seed, provisioning.test_database,
                       provisioning.record_format, provisioning.recorded_schema,
                       provisioning.recorded_object, provisioning.recorded_change}'::text[])),
     found (classid, oid) as (
       -- Indexes, and the types of tables and arrays, only exist beside one of these.
       select 'pg_class'::regclass, oid from pg_class
        where relnamespace in (select oid from candidate_schema)
          and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
          and oid not in (select to_regclass(name) from expected where to_regclass(name) is not null)
       union all
       select 'pg_proc'::regclass, oid from pg_proc
        where pronamespace in (select oid from candidate_schema)
          and oid not in (select oid from pg_proc
                           where pronamespace = to_regnamespace('provisioning')
                             and proname in ('allow_reset', 'forbid_reset', 'read_definitions', 'list_schemas',
                                             'read_history', 'record_objects', 'date_record',
                                             'record_schema', 'record_changes', 'begin_recording',
                                             'finish_recording'))
       union all
       select 'pg_type'::regclass, oid from pg_type
        where typnamespace in (select oid from candidate_schema)
          and (typtype in ('d', 'e', 'r') or typtype = 'b' and typcategory <> 'A' or not typisdefined
               or typrelid in (select oid from pg_class where relkind = 'c')))
     select not exists (
              select from found
               where not exists (
                       select from pg_depend
                        where pg_depend.classid = found.classid and objid = found.oid
                          and deptype = 'e')) as "hasNoObject",
            to_regclass('pgmq.meta') is not null as "hasPgmq"`,
  )
  if (!rows[0]?.hasNoObject) return false
  if (!rows[0].hasPgmq) return true
  const { rowCount } = await client.query('select from pgmq.meta limit 1')
  return rowCount === 0
}
