import { type Test, test } from 'tap'
import { CATALOGS_SQL } from '../../src/catalog/versions.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { createPageFunctions, markPages } from '../../src/test-databases/catalog-pages.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

/** Each leaves a row in a catalogue that is another one, or in another place. */
const WRITES: readonly string[] = [
  'create table public.made (n int)',
  `comment on table public.made is 'one'`,
  // VACUUM frees the place of the first comment, and marks the page again.
  `comment on table public.made is 'two'; vacuum (freeze) pg_description`,
  `comment on table public.made is 'one'; vacuum (freeze) pg_description`,
  'revoke execute on function pg_catalog.pg_sleep(float8) from public; vacuum (freeze)',
  'drop table public.made',
  'alter default privileges grant select on tables to public',
  `select lo_from_bytea(0, 'text')`,
  `create type public.level as enum ('low')`,
  // Past all checks, and into a catalogue that has no cache.
  `update pg_description set description = 'forged' where ctid = '(3,5)'; vacuum (freeze)`,
  `delete from pg_description where ctid = '(2,1)'`,
  `insert into pg_depend select * from pg_depend limit 1; vacuum (freeze)`,
  `begin; delete from pg_cast where ctid = '(0,1)'; rollback`,
  'vacuum full pg_proc; vacuum (freeze)',
]

/** None does. */
const OTHERS: readonly string[] = [
  `insert into e2e.config (key, value) values ('x', '{}'); delete from e2e.config`,
  `select nextval('e2e.test_command_id_seq')`,
  'analyze e2e.config',
  'vacuum (freeze) e2e.config',
  `begin; lock table e2e.config; commit`,
]

test('the sign changes with every row that is written to a catalogue', async (t) => {
  const { borrow, readMarked, read } = await openWorld(t)
  for (const statements of WRITES) {
    const before = await readMarked(statements)
    await borrow(statements)
    t.not(await read(), before, statements)
  }
})

test('the sign stays while only rows of tables are written', async (t) => {
  const { borrow, readMarked, read } = await openWorld(t)
  const before = await readMarked('new')
  for (const statements of OTHERS) {
    await borrow(statements)
    t.equal(await read(), before, statements)
  }
})

test('there is no sign where pages cannot be read', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const client = await database.open('a role without the privilege')
  t.teardown(() => client.end())
  await client.query('create role reader_of_nothing; set role reader_of_nothing')
  t.teardown(() => client.query('reset role; drop role reader_of_nothing').catch(() => {}))
  await createPageFunctions(client, ['pg_class'])

  t.equal(await readSign(client), null)
  await markPages(client)
})

async function readSign(client: Queryable): Promise<string | null> {
  const { rows } = await client.query<{ sign: string | null }>(
    'select pg_temp.read_pages() as sign',
  )
  return rows[0]?.sign ?? null
}

async function openWorld(t: Test) {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const [borrower, keeper] = [await database.open('borrower'), await database.open('keeper')]
  t.teardown(() => Promise.all([borrower.end(), keeper.end()]))
  const { rows } = await keeper.query<{ name: string }>(CATALOGS_SQL)
  const catalogs = rows.map(({ name }) => name)
  return {
    async borrow(statements: string) {
      for (const statement of statements.split(';')) await borrower.query(statement)
    },
    read: () => readSign(keeper),
    /** The sign, of pages that are all marked. */
    async readMarked(label: string) {
      // A catalogue may have its first page since.
      await createPageFunctions(keeper, catalogs)
      await until(`all pages are marked: ${label}`, async () => {
        await markPages(keeper)
        const { rowCount } = await keeper.query('select from pg_temp.list_unmarked()')
        return rowCount === 0
      })
      const sign = await readSign(keeper)
      t.ok(sign, `there is a sign: ${label}`)
      return sign
    },
  }
}
