import { type Test, test } from 'tap'
import { plainStatements, preparedStatements, type Statements } from '../../src/drift/statements.ts'
import { createTestDatabase } from '../support/postgres.ts'

const lengthOf = (list: string) => `select cardinality(${list}) as length`
const slow = () => 'select pg_sleep(30)'

/** What runs where the session does not, and counts. */
function createOthers(): Statements & { readonly count: () => number } {
  let count = 0
  return {
    count: () => count,
    async run() {
      count += 1
      return []
    },
  }
}

async function open(t: Test) {
  const { open } = await createTestDatabase(t, { from: 'empty' })
  const session = await open('test')
  t.teardown(() => session.end())
  return { open, session }
}

test('a statement is planned once in a session, and answers as it does anywhere', async (t) => {
  const { session } = await open(t)
  const others = createOthers()
  const prepared = preparedStatements(session, others, 10_000)
  const plain = plainStatements(session)
  for (const list of [['a', "it's \\ two"], [], undefined]) {
    const [row] = await prepared.run(lengthOf, list)
    t.strictSame(row, { length: list === undefined ? null : list.length })
    t.strictSame(await plain.run(lengthOf, list), [row])
  }
  const { rows } = await session.query('select generic_plans::int from pg_prepared_statements')
  t.strictSame(rows, [{ generic_plans: 3 }])
  t.equal(others.count(), 0)
})

test('a statement that takes too long in the session runs elsewhere, and after three times always', async (t) => {
  const { session } = await open(t)
  const others = createOthers()
  const prepared = preparedStatements(session, others, 20)
  for (const _ of [1, 2, 3]) t.strictSame(await prepared.run(slow), [])
  t.equal(others.count(), 3)
  t.strictSame(await prepared.run(lengthOf, ['a']), [], 'the session is not asked any more')
  t.equal(others.count(), 4)
  t.match((await session.query('show statement_timeout')).rows, [{ statement_timeout: '0' }])
})

test('a lock that is not free is an answer', async (t) => {
  const { open: openSession, session } = await open(t)
  await session.query('create table public.item (id int)')
  const holder = await openSession('test')
  t.teardown(() => holder.end())
  const items = () => 'select id from public.item'
  const others = createOthers()
  const prepared = preparedStatements(session, others, 10_000)
  t.strictSame(await prepared.run(items), [])
  await holder.query('begin; lock table public.item in access exclusive mode')
  await t.rejects(prepared.run(items), { code: '55P03' })
  t.equal(others.count(), 0)
})

test('a session that is lost is replaced', async (t) => {
  const { session } = await open(t)
  const others = createOthers()
  const prepared = preparedStatements(session, others)
  session.destroy('the test ends it')
  t.strictSame(await prepared.run(lengthOf, ['a']), [])
  t.equal(others.count(), 1)
})
