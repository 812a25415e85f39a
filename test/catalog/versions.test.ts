import { test } from 'tap'
import {
  CATALOGS_SQL,
  catalogVersionsSql,
  TABLES_BESIDE_SQL,
  tableVersionsSql,
} from '../../src/catalog/versions.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

/** Each changes the catalogues, and nothing else. */
const CATALOGS: readonly string[] = [
  'create table public.made (n int)',
  `comment on table public.made is 'one'`,
  `comment on table public.made is 'two'`,
  'comment on table public.made is null',
  'alter table public.made add column m int',
  'drop table public.made',
  // A row goes and another comes in the same transaction: there are as many as before.
  'begin; drop table e2e.config; create table e2e.config (n int); commit',
  'revoke execute on function pg_catalog.pg_sleep(float8) from public',
  'alter default privileges grant select on tables to public',
  `select lo_from_bytea(0, 'text')`,
  'vacuum full pg_description; delete from e2e.test_command; drop table e2e.test_command cascade',
]

/** Each changes neither. */
const NEITHER: readonly string[] = [
  `insert into e2e.config (key, value) values ('x', '{}'); delete from e2e.config`,
  `select nextval('e2e.test_command_id_seq')`,
  'begin; create table public.undone (n int); rollback',
  'create temp table t (n int); drop table t',
  'analyze',
  'vacuum (freeze)',
]

test('versions change with every row that is written to a catalogue, and with nothing else', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const [borrower, keeper] = [await database.open('borrower'), await database.open('keeper')]
  t.teardown(() => Promise.all([borrower.end(), keeper.end()]))
  const read = await createReader(keeper, CATALOGS_SQL, catalogVersionsSql)

  for (const [statements, isChange] of [
    ...NEITHER.map((sql) => [sql, false] as const),
    ...CATALOGS.map((sql) => [sql, true] as const),
  ]) {
    const before = await read()
    for (const statement of split(statements)) await borrower.query(statement)
    t.equal((await read()) !== before, isChange, statements)
  }
})

test('versions change with every row of a table that a reset leaves alone', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const client = await database.open('borrower')
  t.teardown(() => client.end())
  await client.query(
    'create schema provisioning; create table provisioning.baseline_object (kind text, name text)',
  )
  const read = await createReader(client, TABLES_BESIDE_SQL, tableVersionsSql)
  const statements = [
    `insert into provisioning.baseline_object values ('a', 'a'), ('b', 'b')`,
    `update provisioning.baseline_object set name = 'c' where kind = 'a'`,
    `begin; delete from provisioning.baseline_object where kind = 'b';
     insert into provisioning.baseline_object values ('b', 'b'); commit`,
    `delete from graphile_migrate.migrations
      where filename = (select max(filename) from graphile_migrate.migrations)`,
  ]
  for (const statement of statements) {
    const before = await read()
    await client.query(statement)
    t.not(await read(), before, statement)
  }
  t.equal(await read(), await read(), 'reading changes nothing')
})

async function createReader(
  client: Queryable,
  listSql: string,
  toSql: (names: readonly string[]) => string,
): Promise<() => Promise<string>> {
  const { rows } = await client.query<{ name: string }>(listSql)
  const text = `select (${toSql(rows.map(({ name }) => name))}) as versions`
  return async () => {
    const { rows } = await client.query<{ versions: string }>(text)
    return rows[0]?.versions ?? ''
  }
}

/** VACUUM cannot run in a message with others. */
function split(statements: string): readonly string[] {
  return statements.startsWith('vacuum') ? statements.split('; ') : [statements]
}
