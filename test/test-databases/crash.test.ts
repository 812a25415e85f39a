// What a session that lends does first, after a crash of the server or not; test/field/lending/crash.test.ts has
// servers that crash.
import { randomUUID } from 'node:crypto'
import { type Test, test } from 'tap'
import { ensureTestDatabaseStore } from '../../src/baseline/test-database-store.ts'
import { createLeaseFunctions } from '../../src/test-databases/lease-functions.ts'
import { listLeases, type NewLease, recoverLeases } from '../../src/test-databases/leases.ts'
import { createLending, type Lending } from '../../src/test-databases/lending.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'

const RULES = { template: 'a key', max: 10, keeper: 1 }
const REQUEST = { id: '00000000-0000-4000-8000-000000000001', label: null, ttlSeconds: 60 }
const FIRST_OID = 2 ** 30
const STATES = ['creating', 'ready', 'lent', 'returned', 'dropping']

/** As a service of its own: it notes how many databases it has given up. */
function createFor(t: Test, db: TestDatabase, keeper: number, forgotten: number[]): Lending {
  const lending = createLending({
    ...{ open: () => db.open('lending'), keeper },
    onForgotten: (count) => forgotten.push(count),
  })
  t.teardown(() => lending.close())
  return lending
}

test('after a crash, each database that may have been lent is given up, once', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureTestDatabaseStore(db.pool)
  const forgotten: number[] = []
  const create = (keeper: number) => createFor(t, db, keeper, forgotten)
  const list = async () => {
    const { rows } = await db.pool.query<{ name: string; state: string }>(
      'select name, state from provisioning.test_database order by oid',
    )
    return rows.map(({ name, state }) => `${name}: ${state}`)
  }

  await create(1).open()
  t.strictSame(forgotten, [], 'there is nothing in a new table')
  await db.pool.query(
    `insert into provisioning.test_database
            (oid, name, server, home, template, is_template, keeper, state, lease_id)
     select ${FIRST_OID} + number, state, 0, 0, 'a key', false, 7, state,
            case when state = 'lent' then gen_random_uuid() end
       from unnest($1::text[]) with ordinality as given (state, number)
      union all
     select ${FIRST_OID} + 100, 'template', 0, 0, 'a key', true, 7, 'ready', null`,
    [STATES],
  )
  const before = await list()
  await create(2).open()
  t.strictSame(await list(), before, 'nothing happens without a crash')

  // As PostgreSQL does it.
  await db.pool.query('truncate provisioning.test_database_crash_check')
  const [one, other] = [create(3), create(4)]
  const [leases] = await Promise.all([one.lend([REQUEST], RULES), other.open()])
  t.strictSame(leases, [], 'it comes before the first lease')
  t.strictSame(forgotten, [2], 'one of two services does it')
  t.strictSame(await list(), [
    ...['creating: creating', 'ready: dropping', 'lent: lent', 'returned: dropping'],
    ...['dropping: dropping', 'template: ready'],
  ])
})

test('after a crash, a lease that its service knows goes on, unless it had ended or cannot be clean', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureTestDatabaseStore(db.pool)
  const lentAt = new Date('2026-01-01T12:00:00Z')
  const expiresAt = new Date('2026-01-01T12:05:00Z')
  const known: NewLease[] = []
  const add = async (state: string, changedAt: string, name?: string) => {
    const { rows } = await db.pool.query<{ oid: number; name: string }>(
      `insert into provisioning.test_database
              (oid, name, server, home, template, is_template, keeper, state, changed_at)
       select coalesce(pg_database.oid, ${FIRST_OID}), coalesce(datname, 'gone'), 0, 0, 'a key', false, 7, $2, $3
         from (values ($1::name)) as given (name)
         left join pg_database on datname = given.name
       returning oid, name`,
      [name, state, changedAt],
    )
    if (name) await db.pool.query(`alter database ${name} with allow_connections false`)
    for (const row of rows)
      known.push({ ...row, id: randomUUID(), label: "w's", lentAt, expiresAt })
  }
  const createOne = async () => (await createTestDatabase(t, { from: 'empty' })).name
  await add('ready', '2026-01-01T11:59:59Z', await createOne())
  await add('ready', '2026-01-01T12:00:01Z', await createOne())
  await add('returned', '2026-01-01T11:59:59Z', await createOne())
  await add('ready', '2026-01-01T11:59:59Z')
  const client = await db.open('lending')
  t.teardown(() => client.end())
  await createLeaseFunctions(client)

  t.equal(await recoverLeases(client, known), 3)
  t.equal(await recoverLeases(client, known), 0, 'only once')
  const { oid, ...lease } = known[0] as NewLease
  t.strictSame(await listLeases(db.pool), [{ ...lease, connections: 0 }])
  const { rows } = await db.pool.query(
    `select state, ttl_seconds as "ttlSeconds", datallowconn as "isOpen"
       from unnest($1::name[]) with ordinality as given (name, number)
       join provisioning.test_database using (name)
       left join pg_database on datname = name
      order by number`,
    [known.map(({ name }) => name)],
  )
  t.strictSame(rows, [
    { state: 'lent', ttlSeconds: 300, isOpen: true },
    { state: 'dropping', ttlSeconds: null, isOpen: false },
    { state: 'dropping', ttlSeconds: null, isOpen: false },
    { state: 'dropping', ttlSeconds: null, isOpen: null },
  ])
})

test('a table of an earlier version, without the note of crashes: all that may have been lent is given up', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureTestDatabaseStore(db.pool)
  await db.pool.query('drop table provisioning.test_database_crash_check')
  await db.pool.query(
    `insert into provisioning.test_database
            (oid, name, server, home, template, is_template, keeper, state)
     values (${FIRST_OID}, 'ready', 0, 0, 'a key', false, 7, 'ready')`,
  )
  await ensureTestDatabaseStore(db.pool)
  const forgotten: number[] = []
  await createFor(t, db, 1, forgotten).open()
  t.strictSame(forgotten, [1])
})

test('a table of that name that another program has made is left as it is', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await db.pool.query(
    'create schema provisioning; create table provisioning.test_database_crash_check (number int)',
  )
  await t.rejects(ensureTestDatabaseStore(db.pool), {
    code: 'reset_schema_taken',
    extensions: { objects: ['relation provisioning.test_database_crash_check'] },
  })
})
