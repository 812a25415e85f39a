import { test } from 'tap'
import { shrinkTables } from '../../src/test-databases/shrink.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createWorld, runIn, startLending } from './lending.ts'

/** Five pages. Thirty times that is more than a reset leaves. */
const ROWS = 55
const INSERT = `insert into public.things (label) select repeat('x', 700) from generate_series(1, ${ROWS})`
/** Each of one of two databases. */
const BORROWERS = 60

test('a table that has grown gives its room back, and one that has not is left alone', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const client = await database.open('shrinking')
  t.teardown(() => client.end())
  await client.query(
    `create table public.kept (n int);
     create table public."Grown by hundreds" (n int);
     insert into public.kept select generate_series(1, 100);
     insert into public."Grown by hundreds" select generate_series(1, 20000);
     delete from public."Grown by hundreds"`,
  )

  t.strictSame(await shrinkTables(client), ['public."Grown by hundreds"'])
  t.strictSame(await shrinkTables(client), [])
  const { rows } = await client.query(
    `select pg_relation_size('public."Grown by hundreds"')::int as grown,
            pg_relation_size('public.kept')::int as kept`,
  )
  t.strictSame(rows, [{ grown: 0, kept: 8192 }])
})

test('no reset has to truncate a table that many borrowers have written to', async (t) => {
  const { env } = await createWorld(t)
  const service = await startLending(t, { ...env, TEST_DATABASES_MAX: '1' })
  const files = new Set<string>()
  for (let borrower = 0; borrower < BORROWERS; borrower++) {
    const lent = await service.lend()
    const { rows } = await runIn(
      lent.url,
      INSERT,
      `select pg_relation_filepath('public.things') as file, count(*)::int from public.things`,
    )
    const [{ file, count }] = rows
    t.equal(count, ROWS + 2, 'the rows of the last borrower are gone')
    files.add(file)
    await service.giveBack(lent)
  }

  // A truncated table has another file, and there are two copies.
  t.ok(files.size <= 2, `${files.size} files`)
})
