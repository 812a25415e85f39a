import { STORE_SCHEMA } from '../catalog/scope.ts'
import { ServiceError } from '../errors/service-error.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** By their comments the service knows the tables as its own; they must never change. */
export const TEST_DATABASE_TABLES = [
  {
    kind: 'table',
    name: 'test_database',
    comment: 'The databases that commandbus-db made for tests, and who has borrowed them.',
  },
  {
    kind: 'table',
    name: 'test_database_crash_check',
    comment:
      'Empty after a crash of the server, which may have forgotten the last leases of test databases.',
  },
] as const

/**
 * In `test_database`, `oid` is chosen before a database is created, so there is no moment at which one exists
 * that is not listed here. `server` and `home` tell where the row was written: in a copy of this database it
 * counts for nothing. PostgreSQL empties an unlogged table whenever it recovers from a crash, starts from a
 * backup or becomes the primary, and keeps its rows at a clean stop.
 */
const DEFINITIONS: Readonly<Record<(typeof TEST_DATABASE_TABLES)[number]['name'], string>> = {
  test_database: sql`
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
     where is_template and state = 'ready';`,
  test_database_crash_check: sql`
    create unlogged table ${STORE_SCHEMA}.test_database_crash_check (
      checked_at timestamptz not null default now()
    );`,
}

/** Any number will do; all services on this database must take the same. */
const CREATE_LOCK = '7234318460551720297'

/** Creates the tables that are missing. Throws if another program has a relation of such a name. */
export async function ensureTestDatabaseStore(client: Queryable): Promise<void> {
  if ((await listOwnTables(client)).length === TEST_DATABASE_TABLES.length) return
  const creations = TEST_DATABASE_TABLES.map(
    ({ name, comment }) => sql`
      if pg_catalog.to_regclass('${STORE_SCHEMA}.${name}') is null then
        ${DEFINITIONS[name]}
        comment on table ${STORE_SCHEMA}.${name} is '${comment}';
        revoke all on table ${STORE_SCHEMA}.${name} from public;
      end if;`,
  )
  // One message is one transaction: services that start together wait for each other.
  await client.query(
    `select pg_catalog.pg_advisory_xact_lock(${CREATE_LOCK});
     do $do$
     begin
       ${creations.join('\n')}
     end
     $do$`,
  )
  await listOwnTables(client)
}

async function listOwnTables(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ name: string; isOwn: boolean }>(
    `select own.name,
            coalesce(relkind = 'r'
                     and pg_catalog.obj_description(pg_class.oid, 'pg_class') = own.comment, false) as "isOwn"
       from pg_catalog.jsonb_to_recordset($1) as own (name text, comment text)
       join pg_catalog.pg_class
         on pg_class.oid = pg_catalog.to_regclass('${STORE_SCHEMA}.' || own.name)`,
    [JSON.stringify(TEST_DATABASE_TABLES)],
  )
  const foreign = rows.find(({ isOwn }) => !isOwn)
  if (foreign !== undefined) {
    throw new ServiceError(
      'reset_schema_taken',
      `test databases need the table ${STORE_SCHEMA}.${foreign.name}, and another program has made one: ` +
        'it was left as it is; move it to another schema, or set TEST_DATABASES_MAX=0',
      { extensions: { objects: [`relation ${STORE_SCHEMA}.${foreign.name}`] } },
    )
  }
  return rows.map(({ name }) => name)
}
