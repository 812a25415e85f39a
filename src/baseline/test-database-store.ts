import { STORE_SCHEMA } from '../catalog/scope.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** By this comment the service knows the table as its own; it must never change. */
export const TEST_DATABASE_COMMENT =
  'The databases that commandbus-db made for tests, and who has borrowed them.'

/** The table as the schema's own objects are listed. */
export const TEST_DATABASE_TABLE = {
  kind: 'table',
  name: 'test_database',
  comment: TEST_DATABASE_COMMENT,
} as const

/**
 * `oid` is chosen before a database is created, so there is no moment at which one exists that is not
 * listed here. `server` and `home` tell where the row was written: in a copy of this database it counts
 * for nothing.
 */
const STORE_SQL = sql`
  create schema if not exists ${STORE_SCHEMA};
  create table ${STORE_SCHEMA}.test_database (
    oid         oid         primary key,
    name        name        not null unique,
    server      bigint      not null,
    home        oid         not null,
    template    text        not null,
    is_template boolean     not null,
    keeper      int         not null,
    state       text        not null
                check (state in ('creating', 'ready', 'lent', 'returned', 'dropping')),
    changed_at  timestamptz not null default now(),
    fingerprint text,
    lease_id    uuid        unique,
    label       text,
    ttl_seconds int,
    lent_at     timestamptz,
    granted_at  timestamptz,
    expires_at  timestamptz,
    constraint only_a_lent_database_has_a_lease check ((state = 'lent') = (lease_id is not null))
  );
  create unique index test_database_template_idx on ${STORE_SCHEMA}.test_database (template)
   where is_template and state = 'ready';
  comment on table ${STORE_SCHEMA}.test_database is '${TEST_DATABASE_COMMENT}';
  revoke all on table ${STORE_SCHEMA}.test_database from public;`

/** Any number will do; all services on this database must take the same. */
const CREATE_LOCK = '7234318460551720297'

/** Creates the table, unless it is there. Throws if another program has a relation of that name. */
export async function ensureTestDatabaseStore(client: Queryable): Promise<void> {
  if (await hasOwnTable(client)) return
  // One message is one transaction: services that start together wait for each other.
  await client.query(
    `select pg_catalog.pg_advisory_xact_lock(${CREATE_LOCK});
     do $do$
     begin
       if pg_catalog.to_regclass('${STORE_SCHEMA}.test_database') is null then
         ${STORE_SQL}
       end if;
     end
     $do$`,
  )
  await hasOwnTable(client)
}

async function hasOwnTable(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ isOwn: boolean }>(
    `select coalesce(relkind = 'r'
                     and pg_catalog.obj_description(pg_class.oid, 'pg_class') = $1, false) as "isOwn"
       from pg_catalog.pg_class
      where pg_class.oid = pg_catalog.to_regclass('${STORE_SCHEMA}.test_database')`,
    [TEST_DATABASE_COMMENT],
  )
  if (rows[0]?.isOwn === false) {
    throw new ServiceError(
      'reset_schema_taken',
      `test databases need the table ${STORE_SCHEMA}.test_database, and another program has made one: ` +
        'it was left as it is; move it to another schema, or set TEST_DATABASES_MAX=0',
      { extensions: { objects: [`relation ${STORE_SCHEMA}.test_database`] } },
    )
  }
  return rows[0] !== undefined
}
